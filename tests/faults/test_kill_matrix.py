"""Kill -9 of each part in the middle of a create, in the middle of a session and during its end (design rule 27)."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from domain.session import EndReason
from support import pictures
from support.fault_bench import WITHIN_S, Bench, said_by, watch_afresh
from support.fault_processes import in_a_room, media_processes
from support.fresh_pictures import as_avatar
from support.real_system import Live, new_room
from support.steadiness import three_tries

Begin = Callable[[str, str], Bench]

BOTH = pytest.mark.databases("SQLite", "PostgreSQL")
WRITERS = (pytest.param("api", marks=BOTH), pytest.param("sessions", marks=BOTH))
"""They write to the database."""
PARTS = (*WRITERS, "faces", "avatar", "media", "temporal", "livekit")
SPARE_ME = (*WRITERS, "faces", "temporal")
"""Their deaths touch no picture."""
OF_THE_ROOM = {
    EndReason.ROOM_UNREACHABLE, EndReason.ROOM_DELETED, EndReason.PARTICIPANTS_LEFT, EndReason.NOBODY_JOINED,
    EndReason.REMOVED, EndReason.SERVER_LOST,
}  # fmt: skip
MOMENTS = {
    "api": "joining", "sessions": "aligning", "faces": "aligning", "avatar": "joining", "media": "in the room",
    "temporal": "aligning", "livekit": "in the room",
}  # fmt: skip
NOBODY_S = 8
FAIR = {400, 503}
"""How a create may be refused for a fault: the room that could not be reached, and what is worth another try."""


async def kill(bench: Bench, part: str, pid: int = 0) -> None:
    """Kill -9 a part, or the media process `pid`; returns at once."""
    if part == "media":
        os.kill(pid, signal.SIGKILL)
    else:
        bench.system.running.kill(part)
    bench.case.fault_now()


async def back(bench: Bench, part: str) -> None:
    """The part runs again, within 30 s of its death; a media process stays dead."""
    if part != "media":
        await asyncio.wait_for(bench.system.running.wait_ready(part), WITHIN_S - bench.case.since_fault())


async def gone(bench: Bench, room: str, part: str) -> str:
    """The avatar is out of the room. One whose own process was killed said no goodbye: LiveKit has to find out."""
    await bench.gone_from(room, within_s=WITHIN_S if part == "media" else 10.0)
    return f"; avatar gone after {bench.case.since_fault():.1f} s" if part == "media" else ""


def media_of(bench: Bench) -> int:
    """The media process of the only session."""
    [pid] = in_a_room(bench.system.running.run, bench.system.running.site.ports.livekit)
    return pid


async def the_spare(bench: Bench) -> int:
    """The media process that the next session gets."""
    async with asyncio.timeout(20):
        while len(found := media_processes(bench.system.running.run)) != 1:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return found[0]


@pytest.mark.parametrize("part", PARTS)
async def test_killed_in_mid_create(begin: Begin, part: str) -> None:
    """The client gets its session, or an error and nothing is left; the next create works within 30 s."""
    bench = begin(part, f"mid-create, {MOMENTS[part]}")
    picture, room = as_avatar(pictures.astronaut()), new_room()
    async with AsyncExitStack() as stack:
        name, base = part, ""
        if part == "api":  # a session whose client never heard of it ends when nobody joins; not after minutes here
            base = await stack.enter_async_context(bench.system.second_api(nobody_joined_s=str(NOBODY_S)))
            name = "second-api"
        spare = await the_spare(bench)
        creating = asyncio.create_task(bench.create(picture, room, base))
        await bench.wait_until(MOMENTS[part], spare)
        await kill(bench, name, spare)
        answer = await asyncio.wait_for(creating, WITHIN_S)
        answered_s = bench.case.since_fault()
        await back(bench, name)
        if answer is not None and answer.status_code == 201:
            session_id = answer.json()["session"]["session_id"]
            await (await watch_afresh(bench.system, room, 5)).aclose()
            await bench.end_at_last(session_id)
        else:
            assert answer is None or answer.status_code in FAIR, answer.text
        async with asyncio.timeout(WITHIN_S - bench.case.since_fault()):
            while bench.sessions_open():  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        end = bench.newest_end()
        await bench.create_works(picture)
        bench.case.steady(f"client: {said_by(answer)} after {answered_s:.1f} s; ended as {end}; next create works")
    await bench.whole()


@pytest.mark.parametrize("part", SPARE_ME)
@three_tries
async def test_killed_in_mid_session_untouched(begin: Begin, astronaut: str, part: str) -> None:
    """API, sessions, faces and Temporal die and come back: same session, still started, no frame is missed."""
    bench = begin(part, "mid-session")
    async with bench.live(astronaut) as live:
        avatar = bench.system.running.pid("avatar")
        await kill(bench, part)
        await back(bench, part)
        await bench.until_seen(live.session_id, lambda one: one["status"] == "started")
        bench.case.steady("same session, still started")
        await bench.untouched(live)
        assert bench.system.running.pid("avatar") == avatar
        ended = await bench.end_at_last(live.session_id)
        assert ended["end_reason"] == EndReason.ENDED_BY_REQUEST
        await bench.gone_from(live.room)
    await bench.whole()


@pytest.mark.parametrize("part", ["avatar", "media"])
async def test_killed_in_mid_session_followed(begin: Begin, astronaut: str, part: str) -> None:
    """An avatar server or a media process that dies is followed by another: same room, same session."""
    bench = begin(part, "mid-session")
    async with bench.live(astronaut) as live:
        before = {frame.participant_sid for frame in live.viewer.frames}
        await kill(bench, part, media_of(bench))
        while {frame.participant_sid for frame in live.viewer.frames} == before:
            assert bench.case.since_fault() < WITHIN_S, "no other avatar came"
            await asyncio.sleep(0.05)
        back_s = bench.case.since_fault()
        await back(bench, part)
        await bench.until_seen(live.session_id, lambda one: one["status"] == "started")
        await live.viewer.wait_frames(len(live.viewer.frames) + 25)
        bench.case.steady(f"same session; video again after {back_s:.1f} s")
        ended = await bench.end_at_last(live.session_id)
        assert ended["end_reason"] == EndReason.ENDED_BY_REQUEST
        await bench.gone_from(live.room)
    await bench.whole()


async def test_livekit_killed_in_mid_session(begin: Begin, astronaut: str) -> None:
    """LiveKit comes back and so does the video, or the session ends with a reason; the next create works."""
    bench = begin("livekit", "mid-session")
    async with bench.live(astronaut) as live:
        await kill(bench, "livekit")
        await back(bench, "livekit")
        held = await after_livekit(bench, live)
        await bench.end_at_last(live.session_id)
        await bench.create_works(astronaut)
        bench.case.steady(held)
    await bench.whole()


async def after_livekit(bench: Bench, live: Live) -> str:
    """What became of a session whose LiveKit server died: the picture is back, or it has ended."""
    seen = len(live.viewer.frames)
    while bench.case.since_fault() < WITHIN_S:
        session = await bench.seen(live.session_id)
        if session is not None and session["status"] == "ended":
            assert session["end_reason"] in OF_THE_ROOM, session
            return f"ended as {session['end_reason']} after {bench.case.since_fault():.1f} s; next create works"
        if len(live.viewer.frames) > seen + 25:
            bench.case.gap_s = live.viewer.longest_gap()
            return f"video back after {bench.case.gap_s:.1f} s; next create works"
        await asyncio.sleep(0.1)
    raise AssertionError("neither is the video back nor has the session ended")


@pytest.mark.parametrize("part", PARTS)
async def test_killed_during_the_end(begin: Begin, astronaut: str, part: str) -> None:
    """The end is answered, or its repeat is: one end, one reason; the avatar goes, and its slot and place are free."""
    bench = begin(part, "during the end")
    async with bench.live(astronaut) as live:
        pid = media_of(bench)
        asking = asyncio.create_task(bench.ask_for_end(live.session_id))
        await asyncio.sleep(0.008)
        await kill(bench, part, pid)
        first = await asking
        ended = await bench.end_at_last(live.session_id)
        assert ended["status"] == "ended"
        assert ended["end_reason"] in {EndReason.ENDED_BY_REQUEST, EndReason.SERVER_LOST}
        held = f"first answer: {said_by(first)}; {ended['end_reason']} after {bench.case.since_fault():.1f} s"
        await back(bench, part)
        assert await bench.system.get(live.session_id) == ended
        await bench.create_works(astronaut)
        bench.case.steady(f"{held}; next create works")
        bench.case.held += await gone(bench, live.room, part)
    await bench.whole()
