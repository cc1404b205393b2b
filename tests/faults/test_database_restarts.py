"""PostgreSQL is killed and starts again (fault 5): in the middle of a create, of a session, and of an end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from domain.session import EndReason
from support import pictures
from support.fault_bench import WITHIN_S, Bench, said_by, watch_afresh
from support.fault_database import PostgreSQLDatabase
from support.fresh_pictures import as_avatar
from support.real_system import new_room
from support.steadiness import three_tries

Begin = Callable[[str, str], Bench]

pytestmark = pytest.mark.databases("PostgreSQL")

AWAY_S = 4.0
LONGER_S = 15.0
CREATE_S = 62.0
"""A create with a picture, and what its answer may take beyond."""


@asynccontextmanager
async def restarted(bench: Bench, seconds: float) -> AsyncIterator[None]:
    """The server is killed, away for so many seconds, and there again."""
    assert isinstance(bench.database, PostgreSQLDatabase)
    server = bench.database.server
    # In a thread: this loop is the product's way to the server, and what viewers see goes by its clock.
    await asyncio.to_thread(server.kill)
    bench.case.fault_now()
    yield
    await asyncio.sleep(max(seconds - bench.case.since_fault(), 0))
    await asyncio.to_thread(server.start)


async def test_the_database_restarts_in_mid_create(begin: Begin) -> None:
    """The client gets its session, or is told to come again and nothing is left; the next create works."""
    bench = begin(f"database killed, away for {AWAY_S:.0f} s", "mid-create, aligning")
    picture, room = as_avatar(pictures.astronaut()), new_room()
    creating = asyncio.create_task(bench.create(picture, room))
    await bench.wait_until("aligning", 0)
    async with restarted(bench, AWAY_S):
        pass
    answer = await asyncio.wait_for(creating, CREATE_S)
    answered_s = bench.case.since_fault()
    if said_by(answer) == "201":
        assert answer is not None
        await (await watch_afresh(bench.system, room, 5)).aclose()
        await bench.end_at_last(answer.json()["session"]["session_id"])
    else:
        assert answer is not None
        assert answer.status_code == 503, answer.text
    async with asyncio.timeout(WITHIN_S):
        while bench.sessions_open():  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    end = bench.newest_end()
    bench.case.steady(f"client: {said_by(answer)} after {answered_s:.1f} s; ended as {end}; next create works")
    bench.case.fault_now()
    await bench.create_works(picture)
    await bench.whole()


@three_tries
async def test_the_database_restarts_in_mid_session(begin: Begin, astronaut: str) -> None:
    """The same session, still started; the picture is untouched; reads and the end work at once afterwards."""
    bench = begin(f"database killed, away for {LONGER_S:.0f} s", "mid-session")
    async with bench.live(astronaut) as live:
        async with restarted(bench, LONGER_S):
            assert said_by(await bench.create(astronaut, new_room())) == "503 TEMPORARILY_UNAVAILABLE"
        await bench.untouched(live)
        bench.case.steady("same session, still started")
        ended = await bench.end_at_last(live.session_id)
        assert ended["end_reason"] == EndReason.ENDED_BY_REQUEST
        await bench.gone_from(live.room)
        generations = bench.rows("SELECT generation FROM leases WHERE session_id = ?", live.session_id)
        assert generations == [(1,)]
    await bench.whole()


async def test_the_database_restarts_during_the_end(begin: Begin, astronaut: str) -> None:
    """The end is answered, or its repeat is: one end, one reason, and nothing stays leased."""
    bench = begin(f"database killed, away for {AWAY_S:.0f} s", "during the end")
    async with bench.live(astronaut) as live:
        asking = asyncio.create_task(bench.ask_for_end(live.session_id))
        await asyncio.sleep(0.008)
        async with restarted(bench, AWAY_S):
            pass
        first = await asking
        assert said_by(first) in {"200", "503 TEMPORARILY_UNAVAILABLE"}
        ended = await bench.end_at_last(live.session_id)
        assert ended["end_reason"] == EndReason.ENDED_BY_REQUEST
        bench.case.held = f"first answer: {said_by(first)}; ended once after {bench.case.since_fault():.1f} s"
        await bench.gone_from(live.room)
        ends = "SELECT reason FROM session_events WHERE session_id = ? AND step = 'record_ended'"
        assert bench.rows(ends, live.session_id) == [(EndReason.ENDED_BY_REQUEST,)]
        await bench.create_works(astronaut)
        bench.case.steady(f"{bench.case.held}; next create works")
    await bench.whole()
