"""Beside a sessions worker: a new version takes new sessions, and none waits for a version that has no worker."""

import asyncio
import logging
import time
from contextlib import suppress
from typing import Literal

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from runtime.deployments import Deployment, Standing
from worker.replaying import replay

log = logging.getLogger(__name__)

AT_FIRST_EVERY_S = 0.1
"""Until Temporal knows this worker's version: some tenths of a second after its first poll."""
FIRST_WITHIN_S = 5.0
"""For so long a worker is not called ready before its version could be looked at; then it is all the same."""
LOOK_EVERY_S = 15.0
AWAY_S = 2.0
"""Between looks while Temporal is away."""
GONE_AFTER_S = 30.0
"""After a restart of Temporal nobody has asked for work yet: only what stays so for this long is gone."""
MOVED_AT_ONCE = 50


class VersionKeeper:
    """One for each sessions worker. Several may act at once: each act can be repeated, and changes nothing then."""

    def __init__(
        self, deployment: Deployment, client: Client, build_id: str, promote: Literal["start", "hand"] = "start"
    ) -> None:
        self._deployment = deployment
        self._client = client
        self._mine = build_id
        self._by_hand = promote == "hand"
        self._silent_since: dict[str, float] = {}
        self._known = asyncio.Event()
        self._stays: set[str] = set()

    async def wait_known(self) -> None:
        """Wait until it is decided who takes new sessions; not for ever, for Temporal may be away."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._known.wait(), FIRST_WITHIN_S)

    async def run(self) -> None:
        """Look for ever. Sessions must go on whatever is wrong with versions."""
        while True:
            pause = AWAY_S
            try:
                await self.look()
                pause = LOOK_EVERY_S if self._known.is_set() else AT_FIRST_EVERY_S
            except (RPCError, RuntimeError) as error:
                log.warning("versions wait: %s", error)
            except Exception:
                log.exception("versions wait")
            await asyncio.sleep(pause)

    async def look(self) -> None:
        """Promote this version if it is time, and take over what a version without workers has left."""
        found = await self._deployment.standing()
        if found is None or self._mine not in found.states:
            return
        gone = await self._gone(found)
        if self._is_next(found, gone) and not await self._promoted(found):
            return
        self._known.set()
        if found.current == self._mine:
            for build in gone - {self._mine}:
                await self._take_over(build)

    def _is_next(self, found: Standing, gone: set[str]) -> bool:
        if not found.current:
            return True
        if self._by_hand or found.current == self._mine:
            return False
        # One that was current before stays back: a restart of an old worker is no wish to go back to it.
        return found.states[self._mine] == "inactive" or found.current in gone

    async def _promoted(self, found: Standing) -> bool:
        try:
            await self._deployment.promote(self._mine, found.token)
        except RPCError as error:
            if error.status not in (RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION):
                raise
            log.debug("not promoted yet: %s", error)  # Temporal does not know it yet, or somebody else was quicker
            return False
        log.info("version %s takes the new sessions%s", self._mine, f", {found.current} no more" * bool(found.current))
        return True

    async def _gone(self, found: Standing) -> set[str]:
        """The versions for which nobody has asked for work for long enough."""
        workers = await self._deployment.workers()
        now = time.monotonic()
        silent = {build for build in found.states if not workers.get(build) and build != self._mine}
        self._silent_since = {build: self._silent_since.get(build, now) for build in silent}
        return {build for build, since in self._silent_since.items() if now - since >= GONE_AFTER_S}

    async def _take_over(self, build: str) -> None:
        """Move what runs on a version without workers to this one, where its history replays."""
        if not await self._deployment.sessions(build):
            return
        moved = 0
        async for workflow_id in self._deployment.open_sessions(build):
            if moved >= MOVED_AT_ONCE:
                return
            if workflow_id in self._stays:
                continue
            history = await self._client.get_workflow_handle(workflow_id).fetch_history()
            if await replay(history, self._client.data_converter) is None:
                await self._deployment.move(workflow_id, self._mine)
                moved += 1
                log.warning("%s goes on on version %s: no worker of %s is left", workflow_id, self._mine, build)
            else:
                self._stays.add(workflow_id)
                log.error("%s needs a worker of version %s: its history does not replay here", workflow_id, build)
