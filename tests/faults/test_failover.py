"""A session's avatar server is lost, stands still, or is to be stopped, and another has free slots (rules 8 to 13)."""

import asyncio
import itertools
import os
import signal
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest

from cli.operators.hands import Drain, Hands
from database.avatar_servers import AvatarServers
from domain.session import EndReason
from support.agent_peer import AgentPeer, agent_token
from support.fault_bench import WITHIN_S, Bench
from support.fault_processes import in_a_room
from support.processes import marked
from support.real_system import SLOTS, Live, RealSystem
from support.room_viewer import RoomViewer

Begin = Callable[[str, str], Bench]

pytestmark = pytest.mark.databases("SQLite", "PostgreSQL")

PAST_ITS_LEASE_S = 12.0
GOAL_S = 5.0
SAID_S = 3


@pytest.fixture(scope="module")
async def second(real_system: RealSystem) -> AsyncIterator[str]:
    """A second avatar server; the name of its part."""
    async with real_system.second_avatar_server() as name:
        yield name


def serving(bench: Bench, session_id: str, second: str) -> str:
    """The part whose avatar server holds the session's lease."""
    query = "SELECT server FROM leases WHERE session_id = ? AND revoked_at IS NULL"
    [(server,)] = bench.rows(query, session_id)
    return second if server == second else "avatar"


def moves_of(bench: Bench, session_id: str) -> list[tuple[object, ...]]:
    """The session's moves in the audit trail: generation and cause."""
    query = "SELECT generation, reason FROM session_events WHERE session_id = ? AND step = 'record_moved'"
    return bench.rows(query, session_id)


async def seen_again(bench: Bench, viewer: RoomViewer, before: set[str], within_s: float = WITHIN_S) -> float:
    """Wait for a frame of another participant; seconds since the fault."""
    while {frame.participant_sid for frame in viewer.frames} <= before:
        assert bench.case.since_fault() < within_s, "no other avatar came"
        await asyncio.sleep(0.02)
    return bench.case.since_fault()


def gap(bench: Bench, viewer: RoomViewer) -> float:
    """The longest time without a frame since the fault."""
    frames = [frame.at for frame in viewer.frames if frame.at > bench.case.began - 1]
    return max(b - a for a, b in itertools.pairwise(frames))


async def test_killed_with_a_free_server(begin: Begin, astronaut: str, second: str) -> None:
    """The other server shows the avatar within seconds: same room, session and identity; gap and cause are recorded."""
    bench = begin("avatar server", "mid-session, another is free")
    async with bench.live(astronaut) as live:
        part, before = serving(bench, live.session_id, second), {live.viewer.frames[0].participant_sid}
        bench.system.running.kill(part)
        bench.case.fault_now()
        back_s = await seen_again(bench, live.viewer, before)
        await live.viewer.wait_frames(len(live.viewer.frames) + 25)
        bench.case.gap_s = gap(bench, live.viewer)
        bench.case.steady(f"same session; video again after {back_s:.1f} s (goal {GOAL_S:.0f} s)")
        assert moves_of(bench, live.session_id) == [(2, EndReason.SERVER_LOST)]
        assert serving(bench, live.session_id, second) != part
        await bench.system.end(live.session_id)
        await bench.gone_from(live.room)
    await bench.system.running.wait_ready(part)
    await bench.whole()
    await bench.system.wait_capacity(2 * SLOTS)


def stop_or_continue(bench: Bench, part: str, media: list[int], number: signal.Signals) -> None:
    """Signal an avatar server and its media processes."""
    pid = bench.system.running.pid(part)
    assert pid is not None
    for one in (pid, *media):
        os.kill(one, number)


async def test_stopped_past_its_lease(begin: Begin, astronaut: str, second: str) -> None:
    """The stale generation wakes up: it does not stay in the room, and does not leave it empty."""
    bench = begin("avatar server stopped", f"for {PAST_ITS_LEASE_S:.0f} s, then it goes on")
    async with bench.live(astronaut) as live:
        part, before = serving(bench, live.session_id, second), {live.viewer.frames[0].participant_sid}
        stale = in_a_room(bench.system.running.run, bench.system.running.site.ports.livekit)
        stop_or_continue(bench, part, stale, signal.SIGSTOP)
        bench.case.fault_now()
        back_s = await seen_again(bench, live.viewer, before)
        await asyncio.sleep(max(PAST_ITS_LEASE_S - bench.case.since_fault(), 0))
        stop_or_continue(bench, part, stale, signal.SIGCONT)
        woke_at = bench.case.since_fault()
        while any(process.pid in stale for process in marked(bench.system.running.run)):
            assert bench.case.since_fault() < woke_at + 10, "the stale avatar is still there"
            await asyncio.sleep(0.1)
        left_s = bench.case.since_fault() - woke_at
        await asyncio.sleep(3)  # whatever it did to the room is over, and mended
        await live.viewer.wait_frames(len(live.viewer.frames) + 25, within_s=WITHIN_S)
        [(_, first), *more] = moves_of(bench, live.session_id)
        assert (first, {cause for _, cause in more} <= {EndReason.IDENTITY_TAKEN}) == (EndReason.SERVER_LOST, True)
        held = f"other avatar after {back_s:.1f} s; the stale one left {left_s:.1f} s after it woke up"
        bench.case.steady(held)
        await bench.until_seen(live.session_id, lambda one: one["status"] == "started")
        assert (await bench.system.end(live.session_id))["end_reason"] == EndReason.ENDED_BY_REQUEST
        await bench.gone_from(live.room)
    await bench.whole()
    await bench.system.wait_capacity(2 * SLOTS)


async def test_drained_while_it_speaks(begin: Begin, astronaut: str, second: str) -> None:
    """The session moves when the utterance is over; its server is empty then, and the room is not."""
    bench = begin("nothing", "its server is drained while it speaks")
    async with bench.live(astronaut) as live:
        part = serving(bench, live.session_id, second)
        async with AgentPeer(bench.system.livekit.url, agent_token(bench.system.livekit, live.room)) as agent:
            await drain_in_mid_speech(bench, live, part, agent)
        await bench.system.end(live.session_id)
        await bench.gone_from(live.room)
    bench.system.running.kill(part)  # it takes sessions again as another boot
    await bench.whole()
    await bench.system.wait_capacity(2 * SLOTS)


async def drain_in_mid_speech(bench: Bench, live: Live, part: str, agent: AgentPeer) -> None:
    """Drain the server of a session whose avatar says something for three seconds."""
    before = {live.viewer.frames[0].participant_sid}
    hands = Hands(AvatarServers(bench.system.engine), bench.system.temporal)
    [(boot_id,)] = bench.rows("SELECT boot_id FROM leases WHERE session_id = ?", live.session_id)
    await agent.say((9000 * np.sin(np.arange(SAID_S * 16_000) / 8)).astype(np.int16))
    await agent.wait_started(1, within_s=WITHIN_S)
    bench.case.fault_now()
    left = await hands.drain(str(boot_id), Drain(), lambda _: None)
    moved_s = bench.case.since_fault()
    await agent.wait_finished(1, within_s=WITHIN_S)
    await seen_again(bench, live.viewer, before)
    await live.viewer.wait_frames(len(live.viewer.frames) + 25)
    assert left == 0
    assert [(one.interrupted, round(one.position_s)) for one in agent.finished] == [(False, SAID_S)]
    assert moves_of(bench, live.session_id) == [(2, EndReason.DRAINED)]
    assert bench.system.running.pid(part) is not None
    bench.case.gap_s = gap(bench, live.viewer)
    bench.case.steady(f"said to its end, then moved; empty after {moved_s:.1f} s")
