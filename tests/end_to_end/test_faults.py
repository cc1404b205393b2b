"""Kill -9 of each part in mid-session (design rule 27): the same session goes on untouched, or ends as it must."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sqlalchemy import select

from database.engine import reading
from database.tables import leases
from support.real_system import Live, RealSystem
from support.steadiness import check_gap, three_tries
from support.tokens import AVATAR_IDENTITY

WITHIN_S = 30.0
TEMPORAL_AWAY_S = 5.0
"""Longer than a heartbeat may be late: when Temporal is back, the step that watched the avatar has failed."""


@asynccontextmanager
async def untouched(system: RealSystem, live: Live, measured: Callable[[str], None]) -> AsyncIterator[None]:
    """What happens inside leaves the picture and the session alone: no freeze, the same avatar, an end that works."""
    viewer = live.viewer
    before = len(viewer.frames)
    boot = system.running.pid("avatar")
    yield
    seen = len(viewer.frames)
    await viewer.wait_frames(seen + 25)
    gap = viewer.longest_gap()
    after_s = viewer.frames[-1].at - viewer.frames[before].at
    assert (await system.get(live.session_id))["status"] == "started"
    assert system.running.pid("avatar") == boot
    assert len({frame.participant_sid for frame in viewer.frames}) == 1
    markers = [frame.marker for frame in viewer.frames if frame.marker is not None]
    assert markers == sorted(markers)
    began = time.monotonic()
    ended = await system.end(live.session_id)
    measured(f"longest gap {gap:.2f} s in {after_s:.1f} s, end answered in {time.monotonic() - began:.2f} s")
    assert (ended["status"], ended["end_reason"]) == ("ended", "ended_by_request")
    await system.livekit.wait_gone(live.room, AVATAR_IDENTITY, within_s=10)
    check_gap(gap)


@three_tries
async def test_killed_workers_and_api_touch_no_picture(
    real_system: RealSystem, astronaut: str, measured: Callable[[str], None]
) -> None:
    """API, faces and sessions die one after another and come back; the session is the same, and its end is answered."""
    async with real_system.live(astronaut) as live, untouched(real_system, live, measured):
        for part in ("api", "faces", "sessions"):  # sessions last: the end then meets a worker that knows nothing
            killed = real_system.running.kill(part)
            await asyncio.wait_for(real_system.running.wait_ready(part), WITHIN_S)
            assert real_system.running.pid(part) != killed
            assert (await real_system.get(live.session_id))["status"] == "started"


@three_tries
async def test_an_outage_of_temporal_touches_no_picture(
    real_system: RealSystem, astronaut: str, measured: Callable[[str], None]
) -> None:
    """Temporal away for longer than a heartbeat may be late: the workflow attaches again and nobody sees it."""
    running = real_system.running
    async with real_system.live(astronaut) as live, untouched(real_system, live, measured):
        until = time.monotonic() + TEMPORAL_AWAY_S
        while time.monotonic() < until:
            if running.pid("temporal") is not None:
                running.kill("temporal")
            await asyncio.sleep(0.05)
        await asyncio.wait_for(running.wait_ready("temporal"), WITHIN_S)
        began, back = time.monotonic(), time.time()
        async with asyncio.timeout(WITHIN_S):
            while not await attached_since(real_system, live.session_id, back):  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        measured(f"attached again {time.monotonic() - began:.1f} s after Temporal was back")


async def attached_since(system: RealSystem, workflow_id: str, moment: float) -> bool:
    """Has the workflow attached again, or has its step been heard since? A beat may come before the alarm does."""
    if await attachments(system, workflow_id) > 1:
        return True
    described = await system.temporal.get_workflow_handle(workflow_id).describe()
    beats = (step.last_heartbeat_time.ToNanoseconds() / 1e9 for step in described.raw_description.pending_activities)
    return any(at > moment for at in beats)


async def attachments(system: RealSystem, workflow_id: str) -> int:
    """How often a session's workflow has attached to its avatar."""
    history = await system.temporal.get_workflow_handle(workflow_id).fetch_history()
    steps = (event.activity_task_scheduled_event_attributes.activity_type.name for event in history.events)
    return sum(name == "stay_in_room" for name in steps)


async def test_a_killed_avatar_server_is_followed_by_another(
    real_system: RealSystem, astronaut: str, measured: Callable[[str], None]
) -> None:
    """The avatar comes back into the same room, under the same identity, in the same session, from the next server."""
    running = real_system.running
    async with real_system.live(astronaut) as live:
        before = {frame.participant_sid for frame in live.viewer.frames}
        began = time.monotonic()
        running.kill("avatar")
        async with asyncio.timeout(WITHIN_S):
            while {frame.participant_sid for frame in live.viewer.frames} == before:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        back_s = time.monotonic() - began
        seen = len(live.viewer.frames)
        await live.viewer.wait_frames(seen + 25)
        assert (await real_system.get(live.session_id))["status"] == "started"
        assert await generations(real_system, live.session_id) == [1, 2]
        began = time.monotonic()
        ended = await real_system.end(live.session_id)
        measured(f"video again {back_s:.1f} s after the kill, end answered in {time.monotonic() - began:.2f} s")
        assert ended["end_reason"] == "ended_by_request"
        await real_system.livekit.wait_gone(live.room, AVATAR_IDENTITY, within_s=10)


async def generations(system: RealSystem, session_id: str) -> list[int]:
    """The generations of a session's leases."""
    query = select(leases.c.generation).where(leases.c.session_id == session_id).order_by(leases.c.generation)
    async with reading(system.engine) as connection:
        return list(await connection.scalars(query))
