"""Parts that are slow or refuse: creates succeed or are told why in time; who runs or ends gets through."""

import asyncio
from collections.abc import Callable

import httpx

from domain.session import EndReason
from support import pictures
from support.fault_bench import Bench, said_by
from support.fault_causes import database_locked, database_slow, storage_away
from support.fresh_pictures import as_avatar
from support.real_system import new_room
from support.slow_line import slow_line
from support.tokens import AVATAR_IDENTITY

Begin = Callable[[str, str], Bench]

SLOW_S = 2.0
REFUSES_S = 12.0
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


async def test_the_database_is_slow(begin: Begin, astronaut: str) -> None:
    """Who writes to it waits for two seconds, nearly all the time: the create succeeds, and so does the end."""
    bench = begin("database slow", f"{SLOW_S:.0f} s each write, from create to end")
    room = new_room()
    bench.case.fault_now()
    async with database_slow(bench.system.folder / "greenroom.db", SLOW_S) as locks:
        answer = await bench.create(astronaut, room)
        answered_s = bench.case.since_fault()
        session_id = await started_once(bench, answer, room)
        await bench.end_at_last(session_id)
        assert len(locks) > 1
    assert ends_of(bench, session_id) == [(EndReason.ENDED_BY_REQUEST,)]
    bench.case.steady(f"client: 201 after {answered_s:.1f} s; ended by request, once")
    await bench.whole()


async def test_the_storage_refuses(begin: Begin, astronaut: str) -> None:
    """A create with a picture is told so in time and leaves nothing; who runs goes on and ends."""
    bench = begin("storage refuses", f"for {REFUSES_S:.0f} s, a create comes")
    async with bench.live(astronaut) as live:
        bench.case.fault_now()
        with storage_away(bench.system.folder / "objects"):
            answer = await bench.create(as_avatar(pictures.astronaut()), new_room())
            answered_s = bench.case.since_fault()
            assert answer is not None
            assert answer.status_code == 503, answer.text
            assert answered_s < BOUND_S
            await asyncio.sleep(max(REFUSES_S - bench.case.since_fault(), 0))
            await bench.untouched(live)
            await bench.end_at_last(live.session_id)
        assert ends_of(bench, live.session_id) == [(EndReason.ENDED_BY_REQUEST,)]
        bench.case.steady(f"client: {said_by(answer)} after {answered_s:.1f} s; the running one untouched, ended once")
    await bench.create_works(as_avatar(pictures.astronaut()))
    await bench.whole()


async def test_the_database_refuses(begin: Begin, astronaut: str) -> None:
    """A create is told so in time, and nothing of it starts later; who runs goes on and ends."""
    bench = begin("database refuses", f"every write for {REFUSES_S:.0f} s, a create comes")
    async with bench.live(astronaut) as live:
        bench.case.fault_now()
        async with database_locked(bench.system.folder / "greenroom.db", REFUSES_S):
            answer = await bench.create(astronaut, new_room())
            answered_s = bench.case.since_fault()
        assert answer is not None
        assert answer.status_code == 503, answer.text
        assert answered_s < BOUND_S
        await bench.untouched(live)
        await bench.end_at_last(live.session_id)
        assert ends_of(bench, live.session_id) == [(EndReason.ENDED_BY_REQUEST,)]
        bench.case.steady(f"client: {said_by(answer)} after {answered_s:.1f} s; the running one untouched, ended once")
    await bench.whole()
    assert bench.sessions_open() == 0
