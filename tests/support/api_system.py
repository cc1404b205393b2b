"""The API with a real database, store, Temporal and sessions role; faces and avatar servers are fakes."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient
from litestar import Litestar
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.worker import Worker
from ulid import ULID

from adapters.object_store import ObjectStore
from api.app import create_app
from api.auth import key_hash
from contracts import queues
from database.accounts import Accounts
from database.avatar_servers import AvatarServers
from database.engine import open_engine, reading
from database.migrations import migrate
from database.tables import METADATA
from runtime.settings import Settings
from support.eventually import staging_cleared
from support.fake_avatar_server import FakeAvatarServer
from support.fake_faces import FACE, FakeFaces
from worker.assembly import build_worker
from worker.registry import ROLES, methods
from worker.roles import sessions

KEY = "ah_test_" + "k" * 32
ROOM = {"platform": "livekit", "url": "ws://room.example:7880", "token": "token-of-the-customer"}
PICTURE = base64.b64encode(FACE * 100).decode()


def new_picture() -> str:
    """A picture that nobody has sent before, as base64."""
    return base64.b64encode(FACE * 100 + str(ULID()).encode()).decode()


def room_for(identity: str, room: str, *, issued: int = 0) -> dict[str, str]:
    """A room whose token, one of many for the same participant, names a participant and a room."""
    claims = {"sub": identity, "video": {"room": room, "roomJoin": True}, "iat": issued}
    middle = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return {**ROOM, "token": f"head.{middle}.signature"}


def settings_in(folder: Path, **changes: Any) -> Settings:
    """Settings of a test system in a folder."""
    key = base64.b64encode(b"k" * 32).decode()
    usual: dict[str, Any] = {
        "data_dir": str(folder),
        "server_keys": f"k1:{key}",
        "sealing_keys": f"s1:{key}",
        "room_hosts": "*",
    }
    usual["requests_per_minute"] = 0
    return Settings(**{**usual, **changes})


@dataclass(frozen=True, kw_only=True)
class ApiSystem:
    """A running API and what lies behind it."""

    http: AsyncClient
    settings: Settings
    engine: AsyncEngine
    server: FakeAvatarServer
    account_id: str

    async def request(self, method: str, path: str, *, key: str | None = KEY, **how: Any) -> tuple[int, Any]:
        """Status and decoded body. Each create is a request of its own, unless the test names it in `request`."""
        if method == "POST" and path == "/v1/sessions" and isinstance(how.get("json"), dict):
            how["json"] = {"request": str(ULID()), **how["json"]}
        headers = how.pop("headers", {}) | ({"x-api-key": key} if key else {})
        response = await self.http.request(method, path, headers=headers, **how)
        return response.status_code, response.json()

    async def avatar(self) -> str:
        """A new avatar of the account."""
        status, body = await self.request("POST", "/v1/avatars/upload-face", json={"image_base64": new_picture()})
        assert status == 201, body
        return str(body["avatar_id"])

    async def session(self, **metadata: Any) -> str:
        """A new session of the account that runs, with an avatar of its own."""
        body = {"avatar": await self.avatar(), "room": ROOM, "metadata": metadata}
        status, answer = await self.request("POST", "/v1/sessions", json=body)
        assert status == 201, answer
        return str(answer["session"]["session_id"])

    async def reason(self, session_id: str) -> str | None:
        """How a session ended, if it has."""
        _, answer = await self.request("GET", f"/v1/sessions/{session_id}")
        reason: str | None = answer["session"]["end_reason"]
        return reason

    async def a_slot_is_free(self) -> None:
        """Wait until the session before has given its slot back: that follows its end by up to a renewal."""
        async with asyncio.timeout(10):
            while not (await AvatarServers(self.engine).capacity())[0]:  # noqa: ASYNC110 - the database tells nobody
                await asyncio.sleep(0.05)

    async def account(self, plan: str = "self_hosted") -> str:
        """Another account; its key."""
        account_id, key = f"acct_{ULID()}", f"ah_test_{ULID()}"
        await Accounts(self.engine).create(account_id, "another", plan)
        await Accounts(self.engine).add_key(account_id, key_hash(key), "first")
        return key

    async def traces(self) -> dict[str, Any]:
        """Everything that a refused create must not leave more of: rows, objects, seats."""
        await staging_cleared(self.settings.data_path / "objects")
        tables = ("avatars", "sessions", "session_events", "leases", "creates", "waiting")
        async with reading(self.engine) as connection:
            rows = {
                name: (await connection.execute(select(func.count()).select_from(METADATA.tables[name]))).scalar_one()
                for name in tables
            }
        objects = sorted(str(p) for p in (self.settings.data_path / "objects").rglob("*") if p.is_file())
        kept = [path for path in objects if "/health/" not in path]
        return {**rows, "objects": kept, "seats": sorted(self.server.serving)}


@pytest.fixture(scope="session")
async def api_system(temporal_apart: Client, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSystem]:
    """One system for all tests of the API; each test brings its own avatars and sessions."""
    settings = settings_in(tmp_path_factory.mktemp("api"))
    await migrate(settings.database_address)
    async with AsyncExitStack() as stack:
        engine = open_engine(settings.database_address)
        stack.push_async_callback(engine.dispose)
        account_id = f"acct_{ULID()}"
        await Accounts(engine).create(account_id, "tester")
        await Accounts(engine).add_key(account_id, key_hash(KEY), "first")
        server = FakeAvatarServer(AvatarServers(engine), slots=3)
        await stack.enter_async_context(server.run(temporal_apart))
        opened = await sessions.open_role(settings, {}, temporal_apart, stack)
        await stack.enter_async_context(build_worker(temporal_apart, ROLES["sessions"], opened))
        fake = FakeFaces(ObjectStore(settings.storage_address))
        faces = Worker(temporal_apart, task_queue=queues.FACES, activities=methods((fake,)))
        await stack.enter_async_context(faces)
        http = await stack.enter_async_context(serving(create_app(settings, environment(temporal_apart))))
        yield ApiSystem(http=http, settings=settings, engine=engine, server=server, account_id=account_id)


@asynccontextmanager
async def serving(app: Litestar) -> AsyncIterator[AsyncClient]:
    """A client of an application that runs in the test's own event loop, beside the workers."""
    up, stop = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        # In a task of its own: a fixture is torn down in another task than it was set up in, which anyio forbids.
        async with app.lifespan():
            up.set()
            await stop.wait()

    living = asyncio.create_task(live())
    await asyncio.wait({living, asyncio.ensure_future(up.wait())}, return_when=asyncio.FIRST_COMPLETED)
    try:
        async with AsyncClient(transport=ASGITransport(app), base_url="http://api.test") as http:
            yield http
    finally:
        stop.set()
        await living


def environment(client: Client) -> dict[str, str]:
    """Temporal's own variables for a client's server and namespace."""
    return {"TEMPORAL_ADDRESS": client.service_client.config.target_host, "TEMPORAL_NAMESPACE": client.namespace}
