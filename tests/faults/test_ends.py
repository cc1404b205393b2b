"""Ends that cannot be lost (design rule 14): whatever is away or in a race, one end, one reason, one row each."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert

from api.auth import key_hash
from database.accounts import Accounts
from database.engine import writing
from database.tables import plans
from domain.session import EndReason
from support import pictures
from support.fault_bench import WITHIN_S, Bench, said_by
from support.fault_causes import storage_away
from support.real_system import RealSystem, new_room
from support.steadiness import three_tries

Begin = Callable[[str, str], Bench]

pytestmark = pytest.mark.databases("SQLite", "PostgreSQL")

AWAY_S = 10.0
LONG_AWAY_S = 20.0
PLAN_S = 4
KEY = "gr_" + "f" * 40


def ends_of(bench: Bench, session_id: str) -> list[tuple[object, ...]]:
    """The rows of a session's end in the audit trail."""
    query = "SELECT reason FROM session_events WHERE session_id = ? AND step = 'record_ended'"
    return bench.rows(query, session_id)


@three_tries
async def test_the_database_is_locked_in_mid_session(begin: Begin, astronaut: str) -> None:
    """For 20 s nothing can be written, not even a renewal: the picture is untouched, the session still started."""
    bench = begin(f"database locked for {LONG_AWAY_S:.0f} s", "mid-session")
    async with bench.live(astronaut) as live:
        bench.case.fault_now()
        async with bench.database.locked(LONG_AWAY_S):
            pass
        await bench.untouched(live)
        bench.case.steady("same session, still started")
        await bench.end_at_last(live.session_id)
    await bench.whole()


async def test_the_database_is_locked_at_the_end(begin: Begin, astronaut: str) -> None:
    """The client is told 503 within its bound; the end is recorded by itself when the database is back."""
    bench = begin(f"database locked for {AWAY_S:.0f} s", "during the end")
    async with bench.live(astronaut) as live:
        bench.case.fault_now()
        async with bench.database.locked(AWAY_S):
            first = await bench.ask_for_end(live.session_id)
            answered_s = bench.case.since_fault()
        assert first is not None
        assert first.status_code == 503, first.text
        assert answered_s < 7
        await bench.ended(live.session_id, {EndReason.ENDED_BY_REQUEST})
        bench.case.steady(f"client: {said_by(first)} after {answered_s:.1f} s; ended by itself, once")
        await bench.gone_from(live.room)
        assert ends_of(bench, live.session_id) == [(EndReason.ENDED_BY_REQUEST,)]
    await bench.whole()


@pytest.mark.databases("SQLite")
async def test_the_storage_is_away_at_the_end(begin: Begin, astronaut: str) -> None:
    """An end needs no storage."""
    bench = begin("storage away", "during the end")
    async with bench.live(astronaut) as live:
        bench.case.fault_now()
        with storage_away(bench.system.folder / "objects"):
            first = await bench.ask_for_end(live.session_id)
            await bench.gone_from(live.room)
        assert first is not None
        assert first.status_code == 200, first.text
        assert ends_of(bench, live.session_id) == [(EndReason.ENDED_BY_REQUEST,)]
        bench.case.steady("ended at once, once")
    await bench.whole()


async def test_two_ends_at_once(begin: Begin, astronaut: str) -> None:
    """Two ends at the same moment through two API processes, and a third later: one end, the same answer."""
    bench = begin("nothing", "two ends at once, by two APIs")
    async with bench.system.second_api() as other, bench.live(astronaut) as live:
        bench.case.fault_now()
        first, second = await asyncio.gather(
            bench.system.end(live.session_id), bench.system.end(live.session_id, base=other)
        )
        assert first == second
        assert await bench.system.end(live.session_id, base=other) == first
        assert ends_of(bench, live.session_id) == [(EndReason.ENDED_BY_REQUEST,)]
        bench.case.steady("one end, the same answer to all")
    await bench.whole()


async def test_an_end_against_a_lost_server(begin: Begin, astronaut: str) -> None:
    """The avatar server has died and nobody knows yet: the end is answered at once, and the loss changes nothing."""
    bench = begin("avatar", "1 s before the end")
    async with bench.live(astronaut) as live:
        bench.system.running.kill("avatar")
        bench.case.fault_now()
        await asyncio.sleep(1)
        ended = await bench.system.end(live.session_id)
        answered_s = bench.case.since_fault() - 1
        assert answered_s < 5
        await asyncio.wait_for(bench.system.running.wait_ready("avatar"), WITHIN_S)
        await bench.create_works(astronaut)
        bench.case.steady(f"{ended['end_reason']}, answered after {answered_s:.1f} s; next create works")
        await asyncio.sleep(6)  # by now the watch has missed its heartbeats
        assert await bench.system.get(live.session_id) == ended
        assert ends_of(bench, live.session_id) == [(ended["end_reason"],)]
    await bench.whole()


@pytest.fixture(scope="module")
async def brief_avatar(real_system: RealSystem) -> str:
    """An avatar of an account whose sessions end after 4 s."""
    accounts = Accounts(real_system.engine)
    row = {"key": "brief", "name": "Brief", "max_session_seconds": PLAN_S, "max_concurrent_sessions": 2}
    async with writing(real_system.engine) as connection:
        await connection.execute(insert(plans).values(row))
    await accounts.create("brief", "An account of short sessions", "brief")
    await accounts.add_key("brief", key_hash(KEY), "test")
    return str((await real_system.upload(pictures.astronaut(), key=KEY))["avatar_id"])


async def test_an_end_races_an_expiry(begin: Begin, brief_avatar: str) -> None:
    """A request at the very moment of the plan's end: one of the two is the reason, once, and all are told the same."""
    bench = begin("nothing", "an end races an expiry")
    system, reasons = bench.system, []

    async def race(offset_s: float) -> None:
        room = new_room()
        async with system.viewer(room):
            answer = await system.create(brief_avatar, system.room(room=room), aspect_ratio="4:3", key=KEY)
            assert answer.status_code == 201, answer.text
            session = answer.json()["session"]
            due = datetime.fromisoformat(session["expiration"]) - datetime.now(UTC)
            await asyncio.sleep(due.total_seconds() + offset_s)
            ended = await system.end(session["session_id"], key=KEY)
            await bench.gone_from(room)
        assert ended["end_reason"] in {EndReason.ENDED_BY_REQUEST, EndReason.EXPIRED}
        assert await system.get(session["session_id"], key=KEY) == ended
        assert ends_of(bench, session["session_id"]) == [(ended["end_reason"],)]
        reasons.append(ended["end_reason"])

    bench.case.fault_now()
    for pair in ((0.0, 0.06), (0.12, 0.25)):
        await asyncio.gather(*(race(offset_s) for offset_s in pair))
        await system.wait_released()
    bench.case.steady(f"four races: {', '.join(reasons)}")
    await bench.whole()
