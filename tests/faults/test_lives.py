"""Ends that nobody asks for (faults 8, 10, 12): an agent dies, an end in mid-create, an expiry without Temporal."""

import asyncio
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from cli.operators.hands import Hands
from database.avatar_servers import AvatarServers
from domain.failures import FailureCode
from domain.session import EndReason
from support.agent_peer import agent_token
from support.fault_bench import WITHIN_S, Bench, said_by, stopped
from support.real_system import new_room
from support.room_viewer import RoomViewer

Begin = Callable[[str, str], Bench]

AGENT_LEFT_S = 4.0
LASTS_S = 6
AGENT = """
import asyncio, sys
from livekit import rtc

async def main():
    room = rtc.Room()
    await room.connect(sys.argv[1], sys.argv[2], rtc.RoomOptions(auto_subscribe=False))
    print("there", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def agent_process(bench: Bench, room: str) -> asyncio.subprocess.Process:
    """An agent of the avatar's, in a process of its own; it is in the room."""
    words = (AGENT, bench.system.livekit.url, agent_token(bench.system.livekit, room))
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", *words, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), WITHIN_S) == b"there\n"
    return process


async def test_the_agent_is_killed_without_a_goodbye(begin: Begin, astronaut: str) -> None:
    """One that is back inside the grace ends nothing; one that was killed ends the session, whoever watches."""
    bench = begin("agent", "in mid-session, somebody watches")
    system, room = bench.system, new_room()
    token = agent_token(system.livekit, room)
    async with system.second_api(agent_left_s=str(AGENT_LEFT_S)) as base, system.viewer(room) as viewer:
        async with RoomViewer(system.livekit.url, token):
            answer = await system.create(astronaut, system.room(room=room), base=base)
            assert answer.status_code == 201, answer.text
            session_id = answer.json()["session"]["session_id"]
            await viewer.wait_frames(25)
        await asyncio.sleep(AGENT_LEFT_S / 4)
        async with RoomViewer(system.livekit.url, token):
            await asyncio.sleep(AGENT_LEFT_S + 2)
            assert (await system.get(session_id))["status"] == "started"
            agent = await agent_process(bench, room)  # the same identity, from now on in a process that can be killed
        agent.kill()
        bench.case.fault_now()
        await agent.wait()
        await bench.ended(session_id, {EndReason.AGENT_LEFT})
        bench.case.steady(f"back after {AGENT_LEFT_S / 4:.0f} s: nothing; killed: agent_left, once LiveKit knew")
        await bench.gone_from(room)
    await bench.whole()


async def test_an_end_in_mid_create(begin: Begin, astronaut: str) -> None:
    """An operator ends a session that is being created: the client is told so, one end, nothing is left."""
    bench = begin("nothing", "an end while it is created")
    creating = asyncio.create_task(bench.create(astronaut, new_room()))
    query = "SELECT session_id FROM sessions WHERE ended_at IS NULL"
    async with asyncio.timeout(WITHIN_S):
        while not (found := bench.rows(query)):  # noqa: ASYNC110
            await asyncio.sleep(0.002)
    [(session_id,)] = found
    bench.case.fault_now()
    reason = await Hands(AvatarServers(bench.system.engine), bench.system.temporal).end(
        str(session_id), EndReason.ENDED_BY_OPERATOR
    )
    answer = await creating
    ends = bench.rows("SELECT reason FROM session_events WHERE session_id = ? AND step = 'record_ended'", session_id)
    assert ends == [(reason,)]
    if reason == FailureCode.CREATE_CANCELLED:
        assert said_by(answer) == "503 CREATE_CANCELLED"
    else:  # it had just started
        assert (reason, said_by(answer)) == (EndReason.ENDED_BY_OPERATOR, "201")
    bench.case.steady(f"client: {said_by(answer)}; ended as {reason}, once")
    await bench.whole()


async def test_it_expires_while_temporal_is_away(begin: Begin, astronaut: str) -> None:
    """The room is warned, and the avatar leaves by itself within seconds of the expiry; Temporal records it later."""
    bench = begin("temporal stopped", "over the expiry")
    room = new_room()
    async with bench.system.viewer(room) as viewer:
        answer = await bench.system.create(astronaut, bench.system.room(room=room), expires_in=LASTS_S)
        assert answer.status_code == 201, answer.text
        session = answer.json()["session"]
        await viewer.wait_frames(5)
        bench.case.fault_now()
        with stopped(bench, "temporal"):
            await bench.gone_from(room, within_s=WITHIN_S)
            late_s = (datetime.now(UTC) - datetime.fromisoformat(session["expiration"])).total_seconds()
            assert viewer.warnings
        assert viewer.warnings[0]["reason"] == EndReason.EXPIRED
        assert 0 < late_s < 15
        await bench.ended(session["session_id"], {EndReason.EXPIRED})
        bench.case.steady(f"warned; the avatar left {late_s:.1f} s after the expiry; ended as expired, once")
    ends = "SELECT reason FROM session_events WHERE session_id = ? AND step = 'record_ended'"
    assert bench.rows(ends, session["session_id"]) == [(EndReason.EXPIRED,)]
    await bench.whole(within_s=30)
