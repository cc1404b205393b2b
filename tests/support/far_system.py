"""The whole system on several machines: a centre, and avatar machines that run an avatar server and nothing else.

Each service of the centre has an address of its own, so that an avatar machine can be cut off from one of them alone.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from livekit.api import LiveKitAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from cli.local_account import prepare_local_account
from database.engine import open_engine, writing
from runtime.cache import cache_folder
from runtime.external.livekit_server import find_livekit_server
from runtime.external.temporal_cli import find_temporal
from runtime.settings import Settings
from runtime.supervision.part import Part
from runtime.supervision.readiness import AnswersAt, Ready
from runtime.supervisor import Supervisor
from runtime.system.memory import load_memory
from runtime.system.plan import Site, api_part, livekit_part, temporal_part, worker_part
from runtime.system.ports import LOOPBACK, Ports
from runtime.system.running import RunningSystem
from runtime.temporal_client import connect
from support.auditor import Auditor
from support.avatar_roles import NAMES, SECRET, documented
from support.databases import PostgreSQLMaker
from support.fault_database import PostgreSQLDatabase
from support.fault_processes import ESTABLISHED, media_processes
from support.gate import Gate
from support.livekit_server import LiveKitServer
from support.machines import Machine, Network, running_network
from support.postgresql_server import PostgreSQLServer, running_postgresql
from support.processes import left_after
from support.real_system import RealSystem, require_real_parts
from support.s3_server import BUCKET, S3Server, make_s3_server

CENTRE = "centre"
SERVICES = ("temporal", "livekit", "database", "store", "api-1", "api-2", "workers")
"""What has an address of its own in the centre."""
WORKERS = {"sessions-1": "sessions", "sessions-2": "sessions", "faces": "faces"}
PREFIX = "many-machines"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - in a network of its own
SLOTS = 2
"""Of each avatar machine."""
STOP_WITHIN_S = 15.0


@dataclass(frozen=True, kw_only=True)
class FarRunning(RunningSystem):
    """The system that runs on the machines of a network."""

    network: Network
    parts: dict[str, Part]
    """Every part that the supervisor keeps, by its name."""

    def where(self, service: str) -> str:
        """The address of a service of the centre."""
        return self.network.machines[CENTRE].address(SERVICES.index(service))

    def machine(self, name: str) -> Machine:
        """An avatar machine, by the name of its server."""
        return self.network.machines[name]

    @property
    def api_url(self) -> str:
        """The first API, without a slash at the end."""
        return self.api("api-1")

    def api(self, name: str) -> str:
        """One of the APIs, without a slash at the end."""
        return f"http://{self.where(name)}:{self.site.ports.api}"

    @asynccontextmanager
    async def away(self, *names: str) -> AsyncIterator[None]:
        """Parts are killed, and start again only afterwards."""
        for name in names:
            self.supervisor.kill(name)
        await self.supervisor.stop(*names)
        try:
            yield
        finally:
            await self.supervisor.start(*(self.parts[name] for name in names))

    def listening(self, machine: str) -> set[int]:
        """Ports of a machine that somebody else could dial."""
        return self.machine(machine).listens_on()


class FarAuditor(Auditor):
    """Looks into a system whose tables lie in PostgreSQL, its objects in S3, its processes on several machines."""

    def __init__(self, system: RealSystem, database: PostgreSQLDatabase, livekit: LiveKitAPI, store: S3Server) -> None:
        """`livekit`: the room owner's API."""
        port = system.running.site.ports.livekit
        super().__init__(system.folder, database, system.running.run, system.temporal, livekit, port)
        self._store = store

    def _media(self) -> list[int]:
        return [pid for pid in media_processes(self._run) if _is_in_a_room(pid, self._port)]

    async def _staged(self) -> tuple[str, ...]:
        return tuple(sorted(await asyncio.to_thread(_staged, self._store)))


def _is_in_a_room(pid: int, port: int) -> bool:
    """Has a process a connection to a port of any machine? Its own table is that of its network."""
    try:
        rows = [row.split() for row in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
        sockets = {os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")}  # noqa: PTH115, PTH208
    except OSError:
        return False  # it ended while we looked
    reached = (row for row in rows if row[3] == ESTABLISHED and int(row[2].rpartition(":")[2], 16) == port)
    return any(f"socket:[{row[9]}]" in sockets for row in reached)


def _staged(store: S3Server) -> set[str]:
    client = store.client()
    try:
        found = client.list_objects_v2(Bucket=BUCKET, Prefix=f"{PREFIX}/staging/").get("Contents", [])
    finally:
        client.close()
    return {one["Key"].split("/")[2] for one in found}


@dataclass(frozen=True, kw_only=True)
class FarSystem:
    """The system, and who looks whether it is whole."""

    system: RealSystem
    running: FarRunning
    database: PostgreSQLDatabase
    auditor: FarAuditor


@asynccontextmanager
async def running_far_system(folder: Path) -> AsyncIterator[FarSystem]:
    """A centre with two of each process but the faces worker, and two avatar machines; nothing is left of it."""
    require_real_parts(os.environ)
    async with AsyncExitStack() as stack:
        network = stack.enter_context(running_network({CENTRE: len(SERVICES), **dict.fromkeys(NAMES, 1)}))
        centre = network.machines[CENTRE]
        at = {service: centre.address(number) for number, service in enumerate(SERVICES)}
        postgresql = stack.enter_context(running_postgresql(at["database"], centre.inside()))
        store = make_s3_server(folder / "s3", host=at["store"], through=centre.inside())
        stack.callback(store.kill)
        database = await _database(postgresql, folder, stack)
        site = _site(folder, at, database.url, store)
        running = await stack.enter_async_context(_running(site, network, at, postgresql))
        system = await _reached(running, at["livekit"], database.url, stack)
        admin = await stack.enter_async_context(system.livekit.admin())
        await system.wait_capacity(SLOTS * len(NAMES))
        auditor = FarAuditor(system, database, admin, store)
        yield FarSystem(system=system, running=running, database=database, auditor=auditor)


class FarDatabase(PostgreSQLDatabase):
    """A database that the product reaches at its own address: what cuts it off is the network."""

    def __init__(self, server: PostgreSQLServer, url: str) -> None:
        super().__init__(server, Gate(server.port), url)
        self.url = url


async def _database(server: PostgreSQLServer, folder: Path, stack: AsyncExitStack) -> FarDatabase:
    maker = PostgreSQLMaker(server)
    stack.push_async_callback(maker.aclose)
    database = FarDatabase(server, await maker.empty(folder))
    stack.callback(database.close)
    return database


def _site(folder: Path, at: Mapping[str, str], database: str, store: S3Server) -> Site:
    """What the parts are made from; the settings are the operator's, by the environment."""
    data_dir = folder / CENTRE
    data_dir.mkdir()
    memory = load_memory(data_dir)
    settings = {
        "database_url": database,
        **store.settings(f"s3://{BUCKET}/{PREFIX}"),
        "livekit_url": f"ws://{at['livekit']}:7880",
        "livekit_api_key": memory.livekit_api_key,
        "livekit_api_secret": memory.livekit_api_secret,
        "avatar_slots": str(SLOTS),
        "frame_marker": "1",
    }
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GREENROOM_")}
    environ |= {f"GREENROOM_{name.upper()}": value for name, value in settings.items()}
    livekit = find_livekit_server(cache_folder(os.environ), os.environ)
    assert livekit is not None
    return Site(
        data_dir=data_dir,
        ports=Ports(),
        memory=memory,
        environ=environ,
        temporal=find_temporal(Path(sys.executable).parent).path,
        livekit=livekit.path,
    )


@asynccontextmanager
async def _running(
    site: Site, network: Network, at: Mapping[str, str], postgresql: PostgreSQLServer
) -> AsyncIterator[FarRunning]:
    parts = {part.name: part for part in _parts(site, network, at)}
    parts |= {part.name: part for part in _avatar_parts(site, network, at, postgresql)}
    supervisor = Supervisor(logs=site.data_dir / "logs", announce=lambda *_: None)
    async with supervisor:
        await supervisor.start(parts["temporal"], parts["livekit"])
        settings = Settings(database_url=site.environ["GREENROOM_DATABASE_URL"])
        await prepare_local_account(settings, site.memory.api_key)
        engine = open_engine(settings.database_address)
        await _let_avatar_servers_in(engine)
        await engine.dispose()
        await supervisor.start(*(part for name, part in parts.items() if name not in {"temporal", "livekit"}))
        yield FarRunning(site=site, supervisor=supervisor, network=network, parts=parts)
        await supervisor.stop(*NAMES, *WORKERS, "api-1", "api-2", "livekit", "temporal")
    assert left_after(supervisor.run, STOP_WITHIN_S) == []


async def _let_avatar_servers_in(engine: AsyncEngine) -> None:
    for statement in documented(str(engine.url.database)):
        async with writing(engine) as connection:
            await connection.execute(text(statement))


def _parts(site: Site, network: Network, at: Mapping[str, str]) -> Iterator[Part]:
    """The parts of the centre, each at its own address."""
    centre, ports = network.machines[CENTRE], site.ports
    temporal = temporal_part(site)
    url = f"http://{at['temporal']}:{ports.temporal_http}/api/v1/namespaces/default"
    # It listens everywhere in the centre: bound to one address it does not find its own services.
    flags = tuple(EVERYWHERE if word == LOOPBACK else word for word in temporal.command)
    yield _placed(replace(temporal, command=flags), centre, ready=AnswersAt(url=url))
    livekit = livekit_part(site)
    config = json.dumps(_livekit_config(json.loads(livekit.environ["LIVEKIT_CONFIG"]), at["livekit"]))
    answers = AnswersAt(url=f"http://{at['livekit']}:{ports.livekit}/")
    yield _placed(livekit, centre, ready=answers, LIVEKIT_CONFIG=config)
    finds = {"TEMPORAL_ADDRESS": f"{at['temporal']}:{ports.temporal}", "GREENROOM_METRICS_PORT": "0"}
    for name in ("api-1", "api-2"):
        answers = AnswersAt(url=f"http://{at[name]}:{ports.api}/readyz")
        part = replace(api_part(site), name=name)
        yield _placed(part, centre, ready=answers, GREENROOM_HOST=at[name], **finds)
    for name, role in WORKERS.items():
        data = {"GREENROOM_DATA_DIR": str(site.data_dir / name)}
        yield _placed(replace(worker_part(site, role), name=name), centre, **finds, **data)


def _livekit_config(config: dict[str, Any], address: str) -> dict[str, Any]:
    """The server's configuration for other machines: it offers this one address for media, and answers from it."""
    rtc = {**config["rtc"], "node_ip": address, "interfaces": {"includes": ["eth0"]}}
    rtc |= {"enable_loopback_candidate": False, "ips": {"includes": [f"{address}/32"]}}
    return {**config, "bind_addresses": [address], "rtc": rtc}


def _avatar_parts(site: Site, network: Network, at: Mapping[str, str], postgresql: PostgreSQLServer) -> Iterator[Part]:
    """An avatar server on each of its machines: it has its own role in the database, and its own folder."""
    database = site.environ["GREENROOM_DATABASE_URL"].rpartition("/")[2]
    for name in NAMES:
        environ = {
            "TEMPORAL_ADDRESS": f"{at['temporal']}:{site.ports.temporal}",
            "GREENROOM_DATABASE_URL": postgresql.url(database, name, SECRET),
            "GREENROOM_AVATAR_NAME": name,
            "GREENROOM_DATA_DIR": str(site.data_dir.with_name(name)),
        }
        yield _placed(replace(worker_part(site, "avatar"), name=name), network.machines[name], **environ)


def _placed(part: Part, machine: Machine, *, ready: Ready | None = None, **environ: str) -> Part:
    """The part as it runs on a machine."""
    merged = {**part.environ, **environ}
    return replace(part, command=machine.inside(*part.command), environ=merged, ready=ready or part.ready)


async def _reached(running: FarRunning, livekit: str, database: str, stack: AsyncExitStack) -> RealSystem:
    """The ways in that a customer, a viewer and an operator have, from a machine of their own."""
    engine = open_engine(database)
    stack.push_async_callback(engine.dispose)
    http = await stack.enter_async_context(httpx.AsyncClient(timeout=70))
    ports = running.site.ports
    where = {"TEMPORAL_ADDRESS": f"{running.where('temporal')}:{ports.temporal}", "TEMPORAL_NAMESPACE": "default"}
    server = LiveKitServer(
        running.site.livekit,
        port=ports.livekit,
        udp_port=ports.livekit_udp,
        tcp_port=ports.livekit_tcp,
        api_key=running.livekit_api_key,
        api_secret=running.livekit_api_secret,
        host=livekit,
    )
    temporal = await connect(where)
    return RealSystem(running=running, engine=engine, http=http, temporal=temporal, livekit=server, said=[])
