"""The whole system as it ships, for end-to-end tests: real parts, free ports, its own folder; nothing stands in."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from adapters.detector_file import is_detector_ready
from cli.dev import system_options
from database.avatar_servers import AvatarServers, takes_sessions
from database.engine import open_engine, reading
from database.tables import METADATA, avatar_servers, leases, sessions, slots
from runtime.cache import cache_folder
from runtime.external.livekit_server import find_livekit_server
from runtime.system.plan import api_part, worker_part
from runtime.system.ports import Ports, free_port
from runtime.system.running import RunningSystem, running_system
from runtime.temporal_client import connect
from support.eventually import staging_cleared
from support.fresh_pictures import fresh
from support.livekit_server import LiveKitServer
from support.processes import left_after
from support.room_viewer import RoomViewer
from support.s3_server import s3_server
from support.tokens import avatar_token, person_token

__all__ = ["Live", "RealSystem", "new_room", "real_system", "require_real_parts", "running_real_system", "s3_server"]

Answer = dict[str, Any]

SLOTS = 2
"""Each avatar encodes 1280x960 at 25 fps: more than two at once are too much for a small machine."""


@dataclass(frozen=True, kw_only=True)
class Live:
    """A session with somebody who watches it."""

    session: Answer
    token: str
    """The avatar's room token."""
    room: str
    viewer: RoomViewer
    create_s: float
    """From the POST to its answer."""

    @property
    def session_id(self) -> str:
        """Its id."""
        return str(self.session["session_id"])


@dataclass(frozen=True, kw_only=True)
class RealSystem:
    """A running system, and the ways in that a customer, a viewer and an operator have."""

    running: RunningSystem
    engine: AsyncEngine
    http: httpx.AsyncClient
    temporal: Client
    livekit: LiveKitServer
    """The system's own server; not to be started or killed through this."""
    said: list[tuple[str, str]]
    """What the supervisor announced."""
    picture_port: int = 0
    """The port of this machine that pictures may be fetched from."""
    secrets: dict[str, str] = field(default_factory=dict)
    """Every token that was sent to or came from the API, by what it is."""

    @property
    def folder(self) -> Path:
        """The data folder."""
        return self.running.data_dir

    async def call(self, method: str, path: str, *, key: str = "", base: str = "", **how: Any) -> httpx.Response:
        """A call with the local account's key, or another, to the system's API, or another at `base`."""
        headers = {"x-api-key": key or self.running.api_key}
        return await self.http.request(method, f"{base or self.running.api_url}{path}", headers=headers, **how)

    async def upload(self, picture: bytes, **how: str) -> Answer:
        """A new avatar made of a picture, whatever was sent before."""
        file = ("face.png", fresh(picture))
        answer = await self.call("POST", "/v1/avatars/upload-face", files={"file": file}, **how)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def room(self, token: str = "", *, room: str = "", url: str = "", **grants: Any) -> Answer:
        """The `room` of a create; without a token, a good one for the avatar of this room."""
        token = token or avatar_token(self.livekit, room, **grants)
        self.secrets[f"room token {len(self.secrets)}"] = token
        return {"platform": "livekit", "url": url or self.livekit.url, "token": token}

    async def create(self, avatar: str, room: Answer, **how: Any) -> httpx.Response:
        """POST /v1/sessions. `how`: further fields, and `key` and `base` as for `call`."""
        way = {name: how.pop(name) for name in ("key", "base") if name in how}
        answer = await self.call("POST", "/v1/sessions", json={"avatar": avatar, "room": room, **how}, **way)
        if answer.status_code == 201:
            session = answer.json()["session"]
            self.secrets[f"session token of {session['session_id']}"] = session["session_token"]
        return answer

    async def get(self, session_id: str, **how: str) -> Answer:
        """GET /v1/sessions/{id}."""
        answer = await self.call("GET", f"/v1/sessions/{session_id}", **how)
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["session"])

    async def end(self, session_id: str, **how: str) -> Answer:
        """POST /v1/sessions/{id}/end."""
        answer = await self.call("POST", f"/v1/sessions/{session_id}/end", **how)
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["session"])

    def viewer(self, room: str) -> RoomViewer:
        """Somebody who watches a room; it need not exist yet."""
        return RoomViewer(self.livekit.url, person_token(self.livekit, room, identity="viewer"))

    @asynccontextmanager
    async def live(self, avatar: str, ratio: str = "4:3", **how: Any) -> AsyncIterator[Live]:
        """A session whose viewer was in the room first; ended afterwards, and its slot free again."""
        name = new_room()
        async with self.viewer(name) as viewer:
            room = self.room(room=name)
            began = time.monotonic()
            answer = await self.create(avatar, room, aspect_ratio=ratio, **how)
            took = time.monotonic() - began
            assert answer.status_code == 201, answer.text
            session = answer.json()["session"]
            try:
                await viewer.wait_frames(5)
                yield Live(session=session, token=room["token"], room=name, viewer=viewer, create_s=took)
            finally:
                await self.end(session["session_id"])
                await self.wait_released()

    @asynccontextmanager
    async def picture_at(self, picture: bytes) -> AsyncIterator[str]:
        """The address of a picture on the web, with a key in it that is a secret."""
        key = uuid4().hex
        self.secrets[f"key of picture {len(self.secrets)}"] = key

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked = await reader.readuntil(b"\r\n\r\n")
            known = asked.startswith(f"GET /face.png?key={key} ".encode())
            status = "200 OK" if known else "404 Not Found"
            body = picture if known else b""
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", self.picture_port):
            yield f"http://127.0.0.1:{self.picture_port}/face.png?key={key}"

    async def capacity(self) -> tuple[int, int]:
        """Free slots and all slots."""
        return await AvatarServers(self.engine).capacity()

    async def wait_released(self, within_s: float = 15.0) -> float:
        """Wait until no living server has a slot of a session that has ended; how long that took."""
        late = (
            select(func.count())
            .select_from(slots.join(avatar_servers).join(sessions, sessions.c.session_id == slots.c.session_id))
            .where(takes_sessions(), sessions.c.ended_at.is_not(None))
        )
        began = time.monotonic()
        while await self._number(late):
            assert time.monotonic() - began < within_s, f"a slot is not free after {within_s} s"
        return time.monotonic() - began

    async def traces(self) -> dict[str, Any]:
        """What a refused request must not leave more of: rows, places, held leases, objects."""
        await staging_cleared(self.folder / "objects")
        rows = {name: await self._number(select(func.count()).select_from(METADATA.tables[name])) for name in ROWS}
        places = await self._number(select(func.count()).select_from(sessions).where(sessions.c.ended_at.is_(None)))
        held = await self._number(select(func.count()).select_from(leases).where(leases.c.revoked_at.is_(None)))
        objects = (str(p) for p in (self.folder / "objects").rglob("*") if p.is_file() and p.parent.name != "health")
        return {**rows, "places": places, "held": held, "objects": sorted(objects)}

    async def _number(self, query: Any) -> int:
        async with reading(self.engine) as connection:
            return int((await connection.execute(query)).scalar_one())

    @asynccontextmanager
    async def second_api(self, **settings: str) -> AsyncIterator[str]:
        """Another API process on the same database and Temporal, with other settings; its address."""
        supervisor, site = self.running.supervisor, self.running.site
        port = free_port(set(msgspec.structs.asdict(site.ports).values()))
        ports: Ports = msgspec.structs.replace(site.ports, api=port, api_metrics=0)
        environ = {**site.environ, **{f"GREENROOM_{name.upper()}": value for name, value in settings.items()}}
        part = replace(api_part(replace(site, ports=ports, environ=environ)), name="second-api")
        try:
            await supervisor.start(part)
            yield f"http://127.0.0.1:{port}"
        finally:
            await supervisor.stop(part.name)

    @asynccontextmanager
    async def second_avatar_server(self) -> AsyncIterator[str]:
        """Another avatar server, with as many slots; the name of its part, which is its own name too."""
        supervisor, site = self.running.supervisor, self.running.site
        environ = {**site.environ, "GREENROOM_AVATAR_NAME": SECOND}
        ports = msgspec.structs.replace(site.ports, avatar_metrics=0)
        part = replace(worker_part(replace(site, environ=environ, ports=ports), "avatar"), name=SECOND)
        await supervisor.start(part)
        await self.wait_capacity(2 * SLOTS)
        try:
            yield SECOND
        finally:
            await supervisor.stop(part.name)

    async def wait_capacity(self, free: int, within_s: float = 30.0) -> None:
        """Wait until so many slots are free."""
        async with asyncio.timeout(within_s):
            while (await self.capacity())[0] < free:  # noqa: ASYNC110 - the database tells nobody
                await asyncio.sleep(0.1)


SECOND = "second-avatar"
ROWS = ("avatars", "avatar_portraits", "sessions", "session_events", "leases")


def new_room() -> str:
    """A room that no other test uses."""
    return f"room-{uuid4().hex[:12]}"


def require_real_parts(environ: Mapping[str, str]) -> None:
    """Skip where a real part is missing; with CI=true that is a failure."""
    cache = cache_folder(environ)
    if find_livekit_server(cache, environ) and is_detector_ready(cache):
        return
    reason = "no LiveKit server or no face detector; `make setup` fetches both"
    if environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
async def real_system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RealSystem]:
    """One system for every end-to-end test; each brings its own rooms and sessions. It leaves no process behind."""
    async with running_real_system(tmp_path_factory.mktemp("real-system")) as system:
        yield system


@asynccontextmanager
async def running_real_system(folder: Path, **settings: str) -> AsyncIterator[RealSystem]:
    """A system on this machine, with some settings of its own; it leaves no process behind."""
    require_real_parts(os.environ)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GREENROOM_")}
    picture_port = free_port(set())
    usual = {"frame_marker": "1", "avatar_slots": str(SLOTS), "picture_hosts": f"127.0.0.1:{picture_port}"}
    settings = {**usual, **settings}
    environ |= {f"GREENROOM_{name.upper()}": value for name, value in settings.items()}
    said: list[tuple[str, str]] = []
    options = system_options(environ, data_dir=folder, free_ports=True, asked={})
    options = replace(options, announce=lambda part, text: said.append((part, text)))
    async with running_system(options) as running, AsyncExitStack() as stack:
        engine = open_engine(settings.get("database_url", f"sqlite+aiosqlite:///{folder / 'greenroom.db'}"))
        stack.push_async_callback(engine.dispose)
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=70))
        where = {"TEMPORAL_ADDRESS": running.temporal_address, "TEMPORAL_NAMESPACE": "default"}
        yield RealSystem(
            running=running,
            engine=engine,
            http=http,
            temporal=await connect(where),
            livekit=_livekit_of(running),
            said=said,
            picture_port=picture_port,
        )
    assert left_after(running.run, 1) == []


def _livekit_of(running: RunningSystem) -> LiveKitServer:
    site = running.site
    return LiveKitServer(
        site.livekit,
        port=site.ports.livekit,
        udp_port=site.ports.livekit_udp,
        tcp_port=site.ports.livekit_tcp,
        api_key=running.livekit_api_key,
        api_secret=running.livekit_api_secret,
    )
