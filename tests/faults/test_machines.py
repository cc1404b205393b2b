"""Many machines (fault 6): avatar servers that only dial out, cut off from one peer, from all, and back again."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from temporalio.api.enums.v1 import EventType

from domain.session import EndReason
from support import pictures
from support.avatar_roles import NAMES
from support.control_client import controlling, speak
from support.far_bench import FarBench, stays_seen
from support.far_system import SLOTS, FarSystem, running_far_system
from support.fault_bench import WITHIN_S, Case
from support.fault_database import POSTGRESQL
from support.processes import gone_within
from support.real_system import Live, new_room
from support.room_listener import RoomListener
from support.steadiness import three_tries
from support.tokens import person_token

ROOT = Path(__file__).parents[2]
EVERY_SLOT = SLOTS * len(NAMES)
WITHOUT_TEMPORAL_S = 40.0
WITHOUT_A_ROOM_S = 6.0
FALLEN_OFF_S = 20.0
SAYS_SO_S, LEAVES_S = 30.0, 60.0
"""Design rule 10: when a server that cannot renew says so, and when it leaves at the latest."""
AROUND_S = 6.0
"""What a failover takes from there, and timers that look once a second."""

Try = Callable[[str, str], FarBench]

KILLED = """
import os, signal, subprocess
from support.machines import running_network
with running_network({"one": 1}) as network:
    where = network.machines["one"].inside("sleep", "600")
    sleeper = subprocess.Popen(where, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    print(network.router.keeper.pid, network.machines["one"].keeper.pid, sleeper.pid, network.here, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
async def far(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FarSystem]:
    """One centre and two avatar machines for the tests of this module."""
    async with running_far_system(tmp_path_factory.mktemp("machines")) as system:
        yield system


@pytest.fixture(scope="module")
async def portrait(far: FarSystem) -> str:
    """The avatar of a photograph."""
    return str((await far.system.upload(pictures.astronaut()))["avatar_id"])


@pytest.fixture
def attempt(far: FarSystem, record: Callable[[Case], None]) -> Try:
    """Begins a case (what is cut off, and for how long)."""

    def begun(what: str, when: str) -> FarBench:
        case = Case(what=what, when=when, database=POSTGRESQL)
        record(case)
        return FarBench(far, case)

    return begun


def addresses() -> str:
    """Every address of this machine's own network."""
    return subprocess.run(["ip", "address"], capture_output=True, text=True, check=True).stdout  # noqa: S607


def test_nothing_is_left_of_a_network_whose_test_was_killed() -> None:
    """After a kill -9 its keepers end, and with them namespaces, links and addresses; the sleeper is our own to end."""
    command = [sys.executable, "-c", KILLED]
    environ = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    router, keeper, sleeper, here = done.stdout.split()
    assert (gone_within(int(router), 5), gone_within(int(keeper), 5)) == (True, True)
    os.kill(int(sleeper), signal.SIGKILL)
    until = time.monotonic() + 5
    while here in addresses():
        assert time.monotonic() < until, "the link of a killed test is still there"
        time.sleep(0.1)


async def test_sessions_on_machines_that_only_dial_out(attempt: Try, portrait: str) -> None:
    """Each API's session gets an avatar of another machine; a control socket at one API speaks through the other's."""
    trial = attempt("nothing", "two machines, two APIs")
    system, running = trial.system, trial.running
    second = new_room()
    async with trial.live(portrait) as live, system.viewer(second) as viewer:
        answer = await trial.create(portrait, second, base=running.api("api-2"))
        assert answer is not None
        assert answer.status_code == 201, answer.text
        other = answer.json()["session"]
        await viewer.wait_frames(25)
        servers = {trial.server_of(one)[0] for one in (live.session_id, other["session_id"])}
        assert servers == set(NAMES)
        there = Live(session=other, token="", room=second, viewer=viewer, create_s=0)
        async with controlling(system, there, running.api("api-1")) as socket:
            heard_s = await heard(trial, there, socket)
            assert [running.listening(name) for name in NAMES] == [set(), set()]
        trial.case.steady(f"one on each; socket at the other API, heard after {heard_s:.2f} s; no port is open there")
        for one in (live.session_id, other["session_id"]):
            await system.end(one)
    await trial.whole_again(EVERY_SLOT)


async def heard(trial: FarBench, live: Live, socket: aiohttp.ClientWebSocketResponse) -> float:
    """Say something through a control socket; how long after it the room hears it."""
    system = trial.system
    token = person_token(system.livekit, live.room, identity="listener")
    async with RoomListener(system.livekit.url, token) as listener:
        began = time.monotonic()
        assert (await speak(socket, 2))["type"] == "agent.speak.confirmed"
        return await listener.wait_sound(since=began, within_s=15) - began


@three_tries
async def test_cut_off_from_temporal_nothing_is_visible(attempt: Try, portrait: str) -> None:
    """The picture goes on in the same session and generation; afterwards the workflow is attached to it again."""
    trial = attempt("avatar machine cut off from temporal", f"for {WITHOUT_TEMPORAL_S:.0f} s")
    async with trial.live(portrait) as live:
        held = trial.server_of(live.session_id)
        with trial.cut_off(trial.running.machine(held[0]), "temporal"):
            await asyncio.sleep(WITHOUT_TEMPORAL_S)
            alarms = await trial.stays(live.session_id, EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT)
        assert alarms
        attached_s = await trial.attached_again(live.session_id, WITHIN_S)
        await trial.unbroken(live)
        assert trial.server_of(live.session_id) == held
        trial.case.steady(
            f"same avatar; alarm after {alarms[0]:.1f} s; attached {attached_s:.1f} s after the rejoining"
        )
        await trial.system.end(live.session_id)
        await trial.gone_from(live.room)
        trial.check_bill(live)
    await trial.whole_again(EVERY_SLOT)


async def test_cut_off_from_the_database_the_other_machine_takes_over(attempt: Try, portrait: str) -> None:
    """It says so at 30 s, a newer generation comes from the other machine, and at 60 s it has left and starts anew."""
    trial = attempt("avatar machine cut off from the database", "until it starts anew")
    async with trial.live(portrait) as live:
        name, _ = trial.server_of(live.session_id)
        before, stale = {live.viewer.frames[0].participant_sid}, trial.auditor._media()
        boot = trial.running.pid(name)
        with trial.cut_off(trial.running.machine(name), "database"):
            back_s = await trial.seen_again(live.viewer, before, SAYS_SO_S + 2 * AROUND_S)
            left_s = await until(trial, lambda: not set(stale) & set(trial.auditor._media()), LEAVES_S + AROUND_S)
            anew_s = await until(trial, lambda: trial.running.pid(name) not in {boot, None}, LEAVES_S + 2 * AROUND_S)
        [said_s] = await trial.stays(live.session_id, EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED)
        assert (said_s > SAYS_SO_S - 2, said_s < SAYS_SO_S + AROUND_S) == (True, True), said_s
        assert trial.server_of(live.session_id) == (other_than(name), 2)
        assert trial.moves_of(live.session_id) == [(2, EndReason.SERVER_LOST)]
        await live.viewer.wait_frames(len(live.viewer.frames) + 25)
        trial.case.gap_s = trial.gap(live.viewer)
        await trial.system.end(live.session_id)
        await trial.gone_from(live.room)
        billed_s = trial.check_bill(live, unwritten_s=back_s)
        trial.case.steady(
            f"said so after {said_s:.1f} s, other machine's avatar after {back_s:.1f} s, old one gone after"
            f" {left_s:.1f} s, its server anew after {anew_s:.1f} s; billed {billed_s:.0f} s"
        )
    await trial.whole_again(EVERY_SLOT)


async def until(trial: FarBench, holds: Callable[[], bool], within_s: float) -> float:
    """Wait until something holds, until so many seconds after the fault; when it did."""
    while not holds():
        assert trial.case.since_fault() < within_s, f"not after {within_s} s"
        await asyncio.sleep(0.1)
    return trial.case.since_fault()


def other_than(name: str) -> str:
    """The other avatar machine."""
    [other] = set(NAMES) - {name}
    return other


async def test_cut_off_from_the_room_for_a_moment_it_reconnects(attempt: Try, portrait: str) -> None:
    """Signal and media stand still, then the same session goes on from the same machine."""
    trial = attempt("avatar machine cut off from livekit", f"for {WITHOUT_A_ROOM_S:.0f} s")
    async with trial.live(portrait) as live:
        held = trial.server_of(live.session_id)
        with trial.cut_off(trial.running.machine(held[0]), "livekit"):
            await asyncio.sleep(WITHOUT_A_ROOM_S)
            assert time.monotonic() - live.viewer.frames[-1].at > WITHOUT_A_ROOM_S / 2, "the cut did not cut"
        rejoined, seen = trial.case.since_fault(), len(live.viewer.frames)
        await live.viewer.wait_frames(seen + 25, within_s=WITHIN_S)
        back_s = live.viewer.frames[seen].at - trial.case.began - rejoined
        trial.case.gap_s = trial.gap(live.viewer)
        assert trial.server_of(live.session_id) == held
        trial.case.steady(f"same session and machine; video {back_s:.1f} s after the rejoining")
        await trial.system.end(live.session_id)
        await trial.gone_from(live.room)
        trial.check_bill(live)
    await trial.whole_again(EVERY_SLOT)


async def test_cut_off_from_the_room_for_good_the_session_ends(attempt: Try, portrait: str) -> None:
    """The session ends as `room_unreachable` while the machine is still cut off; the viewer sees the avatar leave."""
    trial = attempt("avatar machine cut off from livekit", "for good")
    async with trial.live(portrait) as live:
        name, _ = trial.server_of(live.session_id)
        with trial.cut_off(trial.running.machine(name), "livekit"):
            async with asyncio.timeout(120):
                while (session := await trial.system.get(live.session_id))["status"] != "ended":  # noqa: ASYNC110
                    await asyncio.sleep(0.2)
            ended_s = trial.case.since_fault()
        assert session["end_reason"] == EndReason.ROOM_UNREACHABLE
        [(left_at, _)] = live.viewer.departures
        left_s = left_at - trial.case.began
        trial.case.steady(
            f"ended as room_unreachable after {ended_s:.1f} s; avatar out of the room after {left_s:.1f} s"
        )
    await trial.whole_again(EVERY_SLOT)


async def test_a_machine_falls_off_the_net_and_comes_back(attempt: Try, portrait: str) -> None:
    """The other machine takes over; the stale avatar is refused and leaves, and its machine takes sessions again."""
    trial = attempt("avatar machine cut off from everything", f"for {FALLEN_OFF_S:.0f} s")
    async with trial.live(portrait) as live:
        name, _ = trial.server_of(live.session_id)
        before, stale = {live.viewer.frames[0].participant_sid}, trial.auditor._media()
        with trial.cut_off(trial.running.machine(name)):
            back_s = await trial.seen_again(live.viewer, before, WITHIN_S)
            await asyncio.sleep(max(FALLEN_OFF_S - trial.case.since_fault(), 0))
        rejoined = trial.case.since_fault()
        left_s = await until(trial, lambda: not any(map(is_there, stale)), rejoined + WITHIN_S) - rejoined
        await asyncio.sleep(3)  # whatever it did to the room is over, and mended
        await live.viewer.wait_frames(len(live.viewer.frames) + 25, within_s=WITHIN_S)
        (first, *more) = trial.moves_of(live.session_id)
        assert first == (2, EndReason.SERVER_LOST)
        assert {cause for _, cause in more} <= {EndReason.IDENTITY_TAKEN}
        trial.case.gap_s = trial.gap(live.viewer)
        stays_seen(live.viewer)
        trial.case.steady(f"other machine's avatar after {back_s:.1f} s; stale one gone {left_s:.1f} s after rejoining")
        await trial.system.end(live.session_id)
        await trial.gone_from(live.room)
        trial.check_bill(live, unwritten_s=back_s)
    await trial.whole_again(EVERY_SLOT)
    await every_slot_serves(trial, portrait)


def is_there(pid: int) -> bool:
    """Does a process run?"""
    return not gone_within(pid, 0)


async def every_slot_serves(trial: FarBench, portrait: str) -> None:
    """As many sessions as there are slots, in rooms that nobody watches; they are ended again."""
    answers = [await trial.create(portrait, new_room()) for _ in range(EVERY_SLOT)]
    sessions = [answer.json()["session"]["session_id"] for answer in answers if answer and answer.status_code == 201]
    servers = [trial.server_of(one)[0] for one in sessions]
    for one in sessions:
        await trial.system.end(one)
    assert sorted(servers) == sorted(NAMES * SLOTS)
    await trial.whole_again(EVERY_SLOT)


@three_tries
async def test_an_api_and_a_sessions_worker_are_killed(attempt: Try, portrait: str) -> None:
    """Clients go on through the other API: the same picture, a control socket that comes back, a create, an end."""
    trial = attempt("api-1, sessions-1", "in mid-session, they stay away")
    running = trial.running
    base = running.api("api-2")
    async with trial.live(portrait) as live, AsyncExitStack() as stack:
        await stack.enter_async_context(controlling(trial.system, live, running.api("api-1")))
        trial.case.fault_now()
        async with running.away("api-1", "sessions-1"):
            socket = await stack.enter_async_context(controlling(trial.system, live, base))
            heard_s = await heard(trial, live, socket)
            await trial.unbroken(live)
            answer = await trial.create(portrait, new_room(), base=base)
            assert answer is not None
            assert answer.status_code == 201, answer.text
            created_s = trial.case.since_fault()
            for one in (answer.json()["session"]["session_id"], live.session_id):
                ended = await trial.system.end(one, base=base)
                assert ended["end_reason"] == EndReason.ENDED_BY_REQUEST
            trial.case.steady(f"heard by the other API within {heard_s:.2f} s; next create after {created_s:.1f} s")
    await trial.whole_again(EVERY_SLOT)
