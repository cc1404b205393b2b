"""An operator's hands on servers and sessions, over the database and the workflows; they print nothing."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.service import RPCError, RPCStatusCode

from cli.operators.following import Order, Tell, begun, followed
from cli.stores import engine_of
from contracts.operations import DrainServers
from contracts.session_workflow import EndSession, workflow_id
from database.avatar_servers import AvatarServer, AvatarServers
from database.operations import OperatorReading
from domain.failures import FailureCode, Refused
from domain.selections import Selection
from domain.session import EndReason
from runtime.temporal_client import connect
from workflows.create_session import CreateSessionWorkflow
from workflows.drain_servers import DrainServersWorkflow


@dataclass(frozen=True, kw_only=True)
class Drain:
    """How a server is to be emptied."""

    move: bool = True
    """Sessions go to other servers between two utterances; without, they are waited out."""
    end: bool = False
    """Those that no other server takes end as `drained`."""
    wait: bool = False
    """Until the server is empty."""

    def of(self, boots: Sequence[str] = (), *, name: str = "", version: str = "") -> DrainServers:
        """The order for these servers."""
        return DrainServers(
            boots=tuple(sorted(boots)), name=name, version=version, move=self.move, end=self.end, wait=self.wait
        )


class Hands:
    """An operator's hands on servers and sessions."""

    def __init__(self, servers: AvatarServers, client: Client, reading: OperatorReading | None = None) -> None:
        self._servers = servers
        self._reading = reading
        self.client = client

    @property
    def reading(self) -> OperatorReading:
        """What looks for sessions."""
        if self._reading is None:
            raise AssertionError("these hands look for nothing")
        return self._reading

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

    async def of_version(self, version: str) -> list[AvatarServer]:
        """The servers that run a version; NOT_FOUND where none does."""
        found = [one for one in await self._servers.listed() if one.version == version]
        if not found:
            raise Refused(FailureCode.NOT_FOUND, f"no avatar server runs version {version}")
        return found

    async def drain(self, boot_id: str, how: Drain, tell: Tell) -> int:
        """Give the server no new sessions, and empty it as far as is wanted; how many sessions it still has."""
        name = await begun(self.client, Order(run=DrainServersWorkflow.run, command=how.of([boot_id])))
        return (await followed(self.client, name, tell)).progress.left

    async def chosen(self, selection: Selection) -> list[str]:
        """The sessions of a selection that have not ended."""
        found, after = list[str](), ""
        while True:
            stretch = await self.reading.find(selection, datetime.now(UTC), after=after)
            found += stretch.session_ids
            if not (after := stretch.last):
                return found

    async def served(self, boots: Sequence[str]) -> list[str]:
        """The sessions that servers have."""
        return [session_id for boot in boots for session_id in await self._servers.sessions_of(boot)]

    async def end(self, session_id: str, reason: EndReason) -> str:
        """End a session; the reason that counts. NOT_FOUND where none runs."""
        handle = self.client.get_workflow_handle_for(CreateSessionWorkflow.run, workflow_id(session_id))
        try:
            return (await handle.execute_update(CreateSessionWorkflow.end, EndSession(reason=reason))).reason
        except (RPCError, WorkflowUpdateFailedError) as error:
            if isinstance(error, RPCError) and error.status != RPCStatusCode.NOT_FOUND:
                raise Refused(FailureCode.TEMPORARILY_UNAVAILABLE, f"Temporal: {error.status.name}") from error
            raise Refused(FailureCode.NOT_FOUND, f"no session {session_id} runs") from error


@asynccontextmanager
async def hands(environ: Mapping[str, str]) -> AsyncIterator[Hands]:
    """Open what the settings name; TEMPORARILY_UNAVAILABLE where Temporal does not answer."""
    async with engine_of(environ) as engine:
        yield Hands(AvatarServers(engine), await connected(environ), OperatorReading(engine))


async def listed(environ: Mapping[str, str]) -> Sequence[AvatarServer]:
    """Every avatar server that is remembered."""
    async with engine_of(environ) as engine:
        return await AvatarServers(engine).listed()


async def connected(environ: Mapping[str, str]) -> Client:
    """A client of Temporal; TEMPORARILY_UNAVAILABLE where it does not answer."""
    try:
        return await connect(environ)
    except RuntimeError as error:
        raise Refused(FailureCode.TEMPORARILY_UNAVAILABLE, "Temporal does not answer") from error
