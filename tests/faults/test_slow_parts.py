"""Parts that are slow or refuse: creates succeed or are told why in time; who runs or ends gets through."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

from domain.session import EndReason
from support import pictures
from support.fault_bench import WITHIN_S, Bench, said_by
from support.fault_causes import storage_away
from support.fresh_pictures import as_avatar
from support.gate import Gate
from support.real_system import new_room
from support.slow_line import slow_line
from support.tokens import AVATAR_IDENTITY

Begin = Callable[[str, str], Bench]
Answered = httpx.Response | None

SLOW_S = 2.0
REFUSES_S = 60.0
LONG_S = 75.0
LEAVES_S = 59.0
UNTOUCHED_S = 55.0
"""Less than a minute without its database touches no picture (rule 10); then an avatar server leaves its rooms."""
TRIES = 3
BOUND_S = 32.0
"""A create's own time and what its answer may take beyond."""


def ends_of(bench: Bench, session_id: str) -> list[tuple[object, ...]]:
    """The reasons of a session's end in the audit trail."""
    return bench.rows("SELECT reason FROM session_events WHERE session_id = ? AND step = 'record_ended'", session_id)


async def started_once(bench: Bench, answer: httpx.Response | None, room: str) -> str:
    """The only session of the room: one row, one lease, one avatar."""
    assert answer is not None
    assert answer.status_code == 201, answer.text
    session_id = str(answer.json()["session"]["session_id"])
    assert bench.rows("SELECT count(*) FROM leases WHERE session_id = ? AND revoked_at IS NULL", session_id) == [(1,)]
    started = "SELECT count(*) FROM session_events WHERE session_id = ? AND step = 'record_started'"
    assert bench.rows(started, session_id) == [(1,)]
    assert await bench.system.livekit.identities(room) == {AVATAR_IDENTITY}
    return session_id


async def test_livekit_is_slow(begin: Begin, astronaut: str) -> None:
    """Each call to it takes two seconds: the avatar joins all the same, once."""
    bench = begin("livekit slow", f"{SLOW_S:.0f} s each call, during a create")
    room = new_room()
    async with slow_line(bench.system.running.site.ports.livekit, SLOW_S) as (line, port):
        bench.case.fault_now()
        address = bench.system.room(room=room, url=f"ws://127.0.0.1:{port}")
        answer = await bench.send(astronaut, address)
        answered_s = bench.case.since_fault()
        session_id = await started_once(bench, answer, room)
        assert line.waits >= 1
        await bench.end_at_last(session_id)
        await bench.gone_from(room)
    bench.case.steady(f"client: 201 after {answered_s:.1f} s; one avatar")
    await bench.whole()


@pytest.mark.databases("SQLite", "PostgreSQL")
async def test_the_database_is_slow(begin: Begin, astronaut: str) -> None:
    """Who writes to it waits for two seconds, nearly all the time: the create succeeds, and so does the end."""
    bench = begin("database slow", f"{SLOW_S:.0f} s each write, from create to end")
    room = new_room()
    bench.case.fault_now()
    async with bench.database.slow(SLOW_S) as locks:
        answer = await bench.create(astronaut, room)
        answered_s = bench.case.since_fault()
        session_id = await started_once(bench, answer, room)
        await bench.end_at_last(session_id)
        assert len(locks) > 1
    assert ends_of(bench, session_id) == [(EndReason.ENDED_BY_REQUEST,)]
    bench.case.steady(f"client: 201 after {answered_s:.1f} s; ended by request, once")
    await bench.whole()


async def creates_refused(bench: Bench, code: str, for_s: float, create: Callable[[], Awaitable[Answered]]) -> str:
    """Create again and again while the fault lasts: each is told why within its bound; the slowest and its code."""
    slowest_s = 0.0
    for number in range(TRIES):
        await asyncio.sleep(max(number * for_s / TRIES - bench.case.since_fault(), 0))
        began = bench.case.since_fault()
        assert said_by(await create()) == code
        slowest_s = max(slowest_s, bench.case.since_fault() - began)
    assert slowest_s < BOUND_S
    return f"{TRIES} creates: {code} after {slowest_s:.1f} s at most"


def counted(bench: Bench) -> list[tuple[object, ...]]:
    """How many rows there are of what a create makes."""
    return [bench.rows(f"SELECT count(*) FROM {table}")[0] for table in ("avatars", "sessions", "leases")]  # noqa: S608 - our own names


async def test_the_storage_refuses(begin: Begin, astronaut: str) -> None:
    """Creates with a picture are told so in time and leave nothing; who runs goes on, and ends meanwhile."""
    bench = begin("storage refuses", f"for {REFUSES_S:.0f} s, creates with a picture come")
    async with bench.live(astronaut) as live:
        before, rows = (await bench.system.traces())["objects"], counted(bench)
        bench.case.fault_now()
        with storage_away(bench.system.folder / "objects"):
            told = await creates_refused(
                bench,
                "503 TEMPORARILY_UNAVAILABLE",
                REFUSES_S,
                lambda: bench.create(as_avatar(pictures.astronaut()), new_room()),
            )
            await asyncio.sleep(max(REFUSES_S - bench.case.since_fault(), 0))
            await bench.goes_on(live)
            await bench.end_now(live.session_id)
            await bench.gone_from(live.room)
        assert ends_of(bench, live.session_id) == [(EndReason.ENDED_BY_REQUEST,)]
        assert ((await bench.system.traces())["objects"], counted(bench)) == (before, rows)
        bench.case.held = f"{told}; the running one goes on, ended once"
        bench.case.fault_now()
    await bench.create_works(as_avatar(pictures.astronaut()))
    bench.case.steady(f"{bench.case.held}; then the next create works")
    await bench.whole()


async def test_livekit_refuses(begin: Begin, astronaut: str) -> None:
    """It takes no new connection: creates are told so in time; who is inside goes on, and ends meanwhile."""
    bench = begin("livekit refuses", f"new connections for {REFUSES_S:.0f} s, creates come")
    async with Gate(bench.system.running.site.ports.livekit) as gate:
        url = f"ws://127.0.0.1:{gate.port}"
        async with bench.live(astronaut, url=url) as live:
            rows, rooms = counted(bench), [new_room() for _ in range(TRIES)]
            gate.refuse()
            bench.case.fault_now()
            left = iter(rooms)
            told = await creates_refused(
                bench,
                "400 ROOM_UNREACHABLE",
                REFUSES_S,
                lambda: bench.send(astronaut, bench.system.room(room=next(left), url=url)),
            )
            await asyncio.sleep(max(REFUSES_S - bench.case.since_fault(), 0))
            await bench.goes_on(live)
            await bench.end_now(live.session_id)
            await bench.gone_from(live.room)
            assert ends_of(bench, live.session_id) == [(EndReason.ENDED_BY_REQUEST,)]
            assert [await bench.system.livekit.identities(room) for room in rooms] == [set()] * TRIES
            made = [after[0] - before[0] for after, before in zip(counted(bench), rows, strict=True)]
            assert made == [0, TRIES, TRIES]  # rows of ended creates, each with the one lease that it had
            bench.case.held = f"{told}; the running one goes on, ended once"
            bench.case.fault_now()
    await bench.create_works(astronaut)
    bench.case.steady(f"{bench.case.held}; then the next create works")
    await bench.whole()


@pytest.mark.databases("SQLite", "PostgreSQL")
async def test_the_database_refuses(begin: Begin, astronaut: str) -> None:
    """Creates are told so in time, and nothing of them starts later; the picture goes on; the end gets through."""
    bench = begin("database refuses", f"for {UNTOUCHED_S:.0f} s, creates and an end come")
    async with bench.live(astronaut) as live:
        rows = counted(bench)
        bench.case.fault_now()
        async with bench.database.refuses(UNTOUCHED_S):
            told = await creates_refused(
                bench,
                "503 TEMPORARILY_UNAVAILABLE",
                UNTOUCHED_S,
                lambda: bench.create(astronaut, new_room()),
            )
            await asyncio.sleep(max(UNTOUCHED_S - 8 - bench.case.since_fault(), 0))
            await bench.goes_on(live)
            ending = await bench.ask_for_end(live.session_id)
            assert said_by(ending) == "503 TEMPORARILY_UNAVAILABLE"
        bench.case.fault_now()
        await bench.end_at_last(live.session_id)
        ended_s = bench.case.since_fault()
        await bench.gone_from(live.room)
        assert ends_of(bench, live.session_id) == [(EndReason.ENDED_BY_REQUEST,)]
        assert counted(bench) == rows
    await bench.create_works(astronaut)
    told += f"; the running one goes on; its end: {said_by(ending)}"
    bench.case.steady(f"{told}, then ended once {ended_s:.1f} s after it is back")
    await bench.whole()


@pytest.mark.databases("SQLite", "PostgreSQL")
async def test_the_database_refuses_for_longer_than_a_minute(begin: Begin, astronaut: str) -> None:
    """The avatar server leaves the room at a minute (rule 10); afterwards the session goes on, or has ended, billed."""
    bench = begin("database refuses", f"for {LONG_S:.0f} s")
    async with bench.live(astronaut) as live:
        bench.case.fault_now()
        async with bench.database.refuses(LONG_S):
            await bench.gone_from(live.room, within_s=LONG_S)
            left_s = bench.case.since_fault()
        assert LEAVES_S <= left_s < LEAVES_S + 5
        bench.case.fault_now()
        seen = len(live.viewer.frames)
        while (now := await bench.seen(live.session_id) or {}).get("status") != "ended":
            if len(live.viewer.frames) > seen + 25:
                break
            assert bench.case.since_fault() < WITHIN_S, now
            await asyncio.sleep(0.1)
        became = f"{now.get('end_reason') or 'video again'} {bench.case.since_fault():.1f} s after it is back"
        await bench.end_at_last(live.session_id)
        await bench.gone_from(live.room)
        assert len(ends_of(bench, live.session_id)) == 1
    await bench.create_works(astronaut)
    bench.case.steady(f"the avatar left after {left_s:.1f} s; {became}")
    await bench.whole()
