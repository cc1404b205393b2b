"""`running_system`: the whole system on one machine, as an asynchronous context manager; it prints nothing itself."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from runtime.cache import cache_folder
from runtime.external.found import MissingPartError
from runtime.external.livekit_server import INSTALL, find_livekit_server
from runtime.external.temporal_cli import find_temporal
from runtime.setting_files import with_files
from runtime.settings import Settings, load_settings
from runtime.supervision.kept import Announce
from runtime.supervision.part import Part
from runtime.supervisor import Supervisor
from runtime.system.memory import load_memory, save_memory, sole_use
from runtime.system.plan import STOP_ORDER, Site, api_part, livekit_part, own_environ, temporal_part, worker_part
from runtime.system.ports import LOOPBACK, choose_ports

Prepare = Callable[[Settings, str], Awaitable[None]]
"""Brings the database up to date and makes sure of the local account with this key; safe to repeat."""

ROLES = ("sessions", "faces", "avatar")


@dataclass(frozen=True, kw_only=True)
class SystemOptions:
    """How to run the system."""

    data_dir: Path
    """Folder that holds everything it remembers."""

    environ: Mapping[str, str]
    """The operator's environment."""

    prepare: Prepare
    """What must be done before the API and the workers start."""

    announce: Announce
    """Told (part, sentence) of what happens: ports taken, deaths, errors."""

    ports: Mapping[str, int] = field(default_factory=dict)
    """Ports asked for, by the names of `Ports`; one that is busy is an error."""

    free_ports: bool = False
    """Take free ports instead of the usual numbers (those of an earlier run are kept)."""

    program: str = "cli.main"
    """The module whose commands `api` and `worker ROLE` are run."""


@dataclass(frozen=True, kw_only=True)
class RunningSystem:
    """A system that is ready."""

    site: Site
    """What it was made from."""

    supervisor: Supervisor
    """Who keeps it alive."""

    @property
    def data_dir(self) -> Path:
        """The data folder."""
        return self.site.data_dir

    @property
    def run(self) -> str:
        """The mark GREENROOM_RUN of all its processes."""
        return self.supervisor.run

    @property
    def api_url(self) -> str:
        """The API, without a slash at the end."""
        return f"http://{LOOPBACK}:{self.site.ports.api}"

    @property
    def api_key(self) -> str:
        """The key of the local account."""
        return self.site.memory.api_key

    @property
    def livekit_url(self) -> str:
        """LiveKit's address for rooms."""
        return f"ws://{LOOPBACK}:{self.site.ports.livekit}"

    @property
    def livekit_api_key(self) -> str:
        """LiveKit's key."""
        return self.site.memory.livekit_api_key

    @property
    def livekit_api_secret(self) -> str:
        """LiveKit's secret."""
        return self.site.memory.livekit_api_secret

    @property
    def temporal_address(self) -> str:
        """Temporal's gRPC service."""
        return f"{LOOPBACK}:{self.site.ports.temporal}"

    @property
    def temporal_ui_url(self) -> str:
        """Temporal's pages."""
        return f"http://{LOOPBACK}:{self.site.ports.temporal_ui}"

    def pid(self, part: str) -> int | None:
        """The process of a part (for temporal and livekit that of its launcher); None while it is down."""
        return self.supervisor.pid(part)

    def kill(self, part: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Signal a part as a fault would; it is started again. Await `wait_ready` for its next life."""
        return self.supervisor.kill(part, number)

    async def wait_ready(self, part: str) -> None:
        """Wait until a part is ready (again)."""
        await self.supervisor.wait_ready(part)


@asynccontextmanager
async def running_system(options: SystemOptions) -> AsyncIterator[RunningSystem]:
    """Start everything, wait until all of it is ready, and stop it in order at the end.

    DataFolderBusyError, PortBusyError, MissingPartError and PartFailedError say in one sentence what is in the way.
    """
    data_dir = options.data_dir.resolve()
    with sole_use(data_dir) as lock:
        site = _site(options, data_dir)
        logs = data_dir / "logs"
        async with Supervisor(logs=logs, announce=options.announce, inherited=(lock,)) as supervisor:
            try:
                await _start(supervisor, site, options.prepare)
                yield RunningSystem(site=site, supervisor=supervisor)
            finally:
                await supervisor.stop(*STOP_ORDER)


def _site(options: SystemOptions, data_dir: Path) -> Site:
    memory = load_memory(data_dir)
    ports = choose_ports(
        options.ports,
        memory.ports,
        usual=not options.free_ports,
        tell=lambda text: options.announce("ports", text),
    )
    chosen = {name: port for name, port in msgspec.structs.asdict(ports).items() if port}
    if chosen != memory.ports:
        memory = msgspec.structs.replace(memory, ports=chosen)
        save_memory(data_dir, memory)
    livekit = find_livekit_server(cache_folder(options.environ), options.environ)
    if livekit is None:
        raise MissingPartError(f"{INSTALL} Then run `greenroom setup`.")
    return Site(
        data_dir=data_dir,
        ports=ports,
        memory=memory,
        environ=with_files(options.environ),
        temporal=find_temporal(Path(sys.executable).parent).path,
        livekit=livekit.path,
        program=options.program,
    )


async def _start(supervisor: Supervisor, site: Site, prepare: Prepare) -> None:
    """What others need first, the database beside it; then everybody at once."""
    environ = own_environ(site, SERVER_KEYS=site.memory.server_keys, SEALING_KEYS=site.memory.sealing_keys)
    settings = load_settings({key: value for key, value in environ.items() if key.startswith("GREENROOM_")})
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(supervisor.start(temporal_part(site), livekit_part(site)))
            group.create_task(_awaited(prepare(settings, site.memory.api_key)))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    parts: list[Part] = [worker_part(site, role) for role in ROLES]
    await supervisor.start(api_part(site), *parts)


async def _awaited(waiting: Awaitable[None]) -> None:
    await waiting
