"""An object store that is slow, two seconds each call (fault 14): creates and uploads succeed, once."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest

from adapters.object_store import ObjectStore
from support import pictures
from support.auditor import Auditor
from support.fault_bench import Bench, Case
from support.fault_database import SQLiteDatabase
from support.fresh_pictures import as_avatar
from support.real_system import RealSystem, new_room, running_real_system
from support.s3_server import BUCKET, S3Server
from support.slow_line import SlowLine, slow_line
from support.tokens import AVATAR_IDENTITY

SLOW_S = 2.0
BOUND_S = 62.0
"""A create with a picture, and what its answer may take beyond."""
CALLS = 3
"""At least so many calls of a create wait: it stages, reads and keeps."""

Slow = tuple[RealSystem, SlowLine, ObjectStore]


@pytest.fixture
async def slow(s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Slow]:
    """A system of its own, whose S3 server is behind a slow line; the test's own way to the store is not."""
    folder = tmp_path_factory.mktemp("slow-storage")
    address = f"s3://{BUCKET}/{folder.name}"
    async with slow_line(s3_server.ports["s3.port"], 0) as (
        line,
        port,
    ):  # the built-in avatars are set up at full speed
        settings = s3_server.settings(address, endpoint=f"http://127.0.0.1:{port}")
        async with running_real_system(folder, **settings) as system:
            store = ObjectStore(address, **s3_server.access)
            line.delay_s = SLOW_S
            yield system, line, store
            line.delay_s = 0
            await store.aclose()


async def test_the_storage_is_slow(slow: Slow, record: Callable[[Case], None]) -> None:
    """A create with a new picture starts its session in time: one avatar, one row, nothing staged any more."""
    system, line, store = slow
    case = Case(what="storage slow", when=f"{SLOW_S:.0f} s each call, during a create with a picture")
    record(case)
    async with system.livekit.admin() as admin:
        port, database = system.running.site.ports.livekit, SQLiteDatabase(system.folder)
        auditor = Auditor(system.folder, database, system.running.run, system.temporal, admin, port=port)
        bench, room, waits = Bench(system, database, auditor, case), new_room(), line.waits
        case.fault_now()
        answer = await bench.create(as_avatar(pictures.astronaut()), room)
        answered_s = case.since_fault()
        assert answer is not None
        assert answer.status_code == 201, answer.text
        assert answered_s < BOUND_S
        assert line.waits - waits >= CALLS
        session = answer.json()["session"]
        assert await system.livekit.identities(room) == {AVATAR_IDENTITY}
        mine = "SELECT count(*) FROM avatars WHERE account_id IS NOT NULL"
        assert bench.rows(mine) == [(1,)]
        assert bench.rows("SELECT count(*) FROM sessions") == [(1,)]
        case.steady(f"client: 201 after {answered_s:.1f} s, {line.waits - waits} calls waited; one avatar")
        await bench.end_now(session["session_id"])
        await bench.gone_from(room)
        await bench.whole()
        while staged := await store.prefixes_older_than("staging", timedelta(0)):
            assert case.since_fault() < BOUND_S, staged
