"""What `greenroom deploy` does to the versions of the sessions workers, over Temporal alone; it prints nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from domain.failures import FailureCode, Refused
from runtime.build import worker_version
from runtime.deployments import Deployment, Standing, Version
from runtime.settings import load_settings
from runtime.temporal_client import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOK_EVERY_S = 2.0
"""Longer than Temporal's lists lag behind: a session that has just begun is seen by the second look."""

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Deploying:
    """An operator's hands on versions. `Refused` says in a sentence what cannot be."""

    deployment: Deployment
    mine: str
    """The version that this checkout or image would run."""

    async def promote(self, build_id: str) -> None:
        """Give a version all new sessions."""
        await self._known(build_id)
        if not (await self.deployment.workers()).get(build_id):
            raise Refused(FailureCode.INVALID_REQUEST, f"no worker of version {build_id} is there: start one first")
        await self.deployment.promote(build_id)

    async def ramp(self, build_id: str, percent: float) -> None:
        """Give a version a part of the new sessions."""
        found = await self._known(build_id)
        if build_id == found.current:
            raise Refused(FailureCode.INVALID_REQUEST, f"{build_id} is the current version")
        if percent and not (await self.deployment.workers()).get(build_id):
            raise Refused(FailureCode.INVALID_REQUEST, f"no worker of version {build_id} is there: start one first")
        if percent or found.ramping == build_id:
            await self.deployment.ramp(build_id, percent)

    async def drain(self, build_id: str, *, wait: bool, tell: Tell) -> int:
        """How many workflows run on a version that takes no new ones; with `wait`, once there are none."""
        found = await self._known(build_id)
        if build_id in (found.current, found.ramping):
            raise Refused(FailureCode.INVALID_REQUEST, f"{build_id} takes new sessions: promote another version first")
        told, looks = 0, 0
        while True:
            left = await self.deployment.sessions(build_id)
            looks = 0 if left else looks + 1
            if not wait or looks > 1:
                return left
            if left and left != told:
                tell(f"{left} sessions are left on it")
                told = left
            await asyncio.sleep(LOOK_EVERY_S)

    async def _known(self, build_id: str) -> Standing:
        found = await self.deployment.standing()
        if found is None or build_id not in found.states:
            raise Refused(FailureCode.NOT_FOUND, f"Temporal knows no version {build_id}: `greenroom deploy status`")
        return found


def stranded(versions: Iterable[Version]) -> list[str]:
    """What waits because nobody works on its version, as sentences."""
    found = list(versions)
    if not found:
        return ["no sessions worker was ever there"]
    troubles = [] if any(one.state == "current" for one in found) else ["no version takes new sessions"]
    for one in found:
        if one.workers:
            continue
        if one.percent:
            troubles.append(f"new sessions wait: version {one.build_id} has no worker")
        if one.sessions:
            troubles.append(f"{one.sessions} sessions wait: version {one.build_id} has no worker")
    return troubles


@asynccontextmanager
async def opened(environ: Mapping[str, str]) -> AsyncIterator[Deploying]:
    """The deployment that the settings name."""
    version = worker_version(load_settings(environ))
    with refused():
        client = await connected(environ)
        yield Deploying(deployment=Deployment(client, version.deployment_name), mine=version.build_id)


@contextmanager
def refused() -> "Iterator[None]":
    """Turn what Temporal says into a sentence."""
    try:
        yield
    except RPCError as error:
        away = error.status in (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED)
        code = FailureCode.TEMPORARILY_UNAVAILABLE if away else FailureCode.INVALID_REQUEST
        raise Refused(code, f"Temporal: {error.message or error.status.name}") from error


async def connected(environ: Mapping[str, str]) -> Client:
    """A client; TEMPORARILY_UNAVAILABLE where Temporal does not answer."""
    try:
        return await connect(environ)
    except RuntimeError as error:
        raise Refused(FailureCode.TEMPORARILY_UNAVAILABLE, "Temporal does not answer") from error
