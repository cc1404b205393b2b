"""Emptying an avatar server, and ending sessions by hand, over the database and the workflows; it prints nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.service import RPCError, RPCStatusCode

from contracts.session_workflow import EndSession, MoveAway, SessionOutcome, workflow_id
from database.avatar_servers import AvatarServer, AvatarServers
from database.engine import open_engine
from domain.failures import FailureCode, Refused
from domain.session import EndReason
from runtime.settings import load_settings
from runtime.temporal_client import connect
from workflows.create_session import CreateSessionWorkflow

LOOK_EVERY_S = 0.5
MOVE_AGAIN_AFTER_S = 5.0
"""A session that found no other server tries again so long afterwards, while the drain waits."""

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Drain:
    """How a server is to be emptied."""

    move: bool = True
    """Sessions go to other servers between two utterances; without, they are waited out."""
    end: bool = False
    """Those that no other server takes end as `drained`."""
    wait: bool = False
    """Until the server is empty."""


class Hands:
    """An operator's hands on servers and sessions."""

    def __init__(self, servers: AvatarServers, client: Client) -> None:
        self._servers = servers
        self._client = client

    async def find(self, name: str) -> AvatarServer:
        """The server of a boot id or a name; NOT_FOUND, and INVALID_REQUEST where several are called so."""
        found = [one for one in await self._servers.listed() if name in (one.boot_id, one.name)]
        living = [one for one in found if one.live] or found
        if not living:
            raise Refused(FailureCode.NOT_FOUND, f"there is no avatar server {name}")
        if len(living) > 1:
            boots = ", ".join(one.boot_id for one in living)
            raise Refused(FailureCode.INVALID_REQUEST, f"several servers are called {name}; say which: {boots}")
        return living[0]

    async def drain(self, boot_id: str, how: Drain, tell: Tell) -> int:
        """Give the server no new sessions, and empty it as far as is wanted; how many sessions it still has."""
        await self._servers.drain(boot_id)
        while True:
            sessions = await self._servers.sessions_of(boot_id)
            if how.move or how.end:
                await asyncio.gather(*(self._clear(session_id, boot_id, how, tell) for session_id in sessions))
                sessions = await self._servers.sessions_of(boot_id)
            if not sessions or not how.wait:
                return len(sessions)
            tell(f"{len(sessions)} sessions are still there")
            await self._wait_empty(boot_id, MOVE_AGAIN_AFTER_S if how.move else None)

    async def end(self, session_id: str, reason: EndReason) -> str:
        """End a session; the reason that counts. NOT_FOUND where none runs."""
        update = self._workflow(session_id).execute_update(CreateSessionWorkflow.end, EndSession(reason=reason))
        try:
            return (await update).reason
        except (RPCError, WorkflowUpdateFailedError) as error:
            if isinstance(error, RPCError) and error.status != RPCStatusCode.NOT_FOUND:
                raise Refused(FailureCode.TEMPORARILY_UNAVAILABLE, f"Temporal: {error.status.name}") from error
            raise Refused(FailureCode.NOT_FOUND, f"no session {session_id} runs") from error

    async def _clear(self, session_id: str, boot_id: str, how: Drain, tell: Tell) -> None:
        try:
            if how.move:
                moved = await self._workflow(session_id).execute_update(
                    CreateSessionWorkflow.move_away, MoveAway(boot_id=boot_id)
                )
                if moved.boot_id != boot_id:
                    tell(f"{session_id} is on {moved.server}")
                    return
                tell(f"{session_id}: no other server has a free slot")
            if how.end:
                tell(f"{session_id} ended as {await self.end(session_id, EndReason.DRAINED)}")
        except (RPCError, WorkflowUpdateFailedError, Refused) as error:
            tell(f"{session_id}: {error}")

    async def _wait_empty(self, boot_id: str, within_s: float | None) -> None:
        until = None if within_s is None else asyncio.get_running_loop().time() + within_s
        while await self._servers.sessions_of(boot_id):
            if until is not None and asyncio.get_running_loop().time() > until:
                return
            await asyncio.sleep(LOOK_EVERY_S)

    def _workflow(self, session_id: str) -> WorkflowHandle[CreateSessionWorkflow, SessionOutcome]:
        return self._client.get_workflow_handle_for(CreateSessionWorkflow.run, workflow_id(session_id))


@asynccontextmanager
async def hands(environ: Mapping[str, str]) -> AsyncIterator[Hands]:
    """Open what the settings name; TEMPORARILY_UNAVAILABLE where Temporal does not answer."""
    engine = open_engine(load_settings(environ).database_address)
    try:
        yield Hands(AvatarServers(engine), await _connected(environ))
    finally:
        await engine.dispose()


async def listed(environ: Mapping[str, str]) -> Sequence[AvatarServer]:
    """Every avatar server that is remembered."""
    engine = open_engine(load_settings(environ).database_address)
    try:
        return await AvatarServers(engine).listed()
    finally:
        await engine.dispose()


async def _connected(environ: Mapping[str, str]) -> Client:
    try:
        return await connect(environ)
    except RuntimeError as error:
        raise Refused(FailureCode.TEMPORARILY_UNAVAILABLE, "Temporal does not answer") from error
