"""Kill -9 of the supervisor itself: everything below it ends, and the next run on the same folder has all it had."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable

import pytest

from domain.session import EndReason
from support import pictures
from support.auditor import Auditor
from support.fault_bench import WITHIN_S, Bench, Case, said_by
from support.fault_processes import media_processes
from support.fault_supervised import SupervisedSystem
from support.fresh_pictures import as_avatar
from support.real_system import Live, RealSystem, new_room, require_real_parts

Record = Callable[[Case], None]


@pytest.fixture(scope="module")
async def supervised(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SupervisedSystem]:
    """A system of its own for these tests."""
    require_real_parts(os.environ)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GREENROOM_")}
    environ |= {"GREENROOM_FRAME_MARKER": "1", "GREENROOM_AVATAR_SLOTS": "2"}
    system = SupervisedSystem(tmp_path_factory.mktemp("supervised"), environ)
    await system.start()
    yield system
    system.kill()
    assert system.gone(10)


async def on_bench(system: RealSystem, case: Case, what: Callable[[Bench], object]) -> None:
    """Do something with a bench on the system that runs now."""
    async with system.livekit.admin() as admin:
        port = system.running.site.ports.livekit
        auditor = Auditor(system.folder, system.running.run, system.temporal, admin, port=port)
        outcome = what(Bench(system, auditor, case))
        assert asyncio.iscoroutine(outcome)
        await outcome


async def started_again(supervised: SupervisedSystem, case: Case, sessions: list[str]) -> None:
    """Nothing is left of the old run; a new one on the folder ends what it finds, and takes new sessions."""
    assert supervised.gone(10)
    await supervised.start()
    ready_s = case.since_fault()
    async with supervised.reached() as system:

        async def check(bench: Bench) -> None:
            ends = {EndReason.SERVER_LOST, EndReason.ENDED_BY_REQUEST}
            reasons = {(await bench.ended(session_id, ends))["end_reason"] for session_id in sessions}
            async with asyncio.timeout(WITHIN_S - case.since_fault()):
                while bench.sessions_open():  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            ended_s = case.since_fault()
            await bench.create_works(as_avatar(pictures.astronaut()))
            how = f"ended as {', '.join(sorted(reasons))}" if reasons else "nothing left"
            case.steady(f"{case.held}ready again after {ready_s:.1f} s; {how} after {ended_s:.1f} s; next create works")
            await bench.whole()

        await on_bench(system, case, check)


async def test_killed_in_mid_create(supervised: SupervisedSystem, record: Record) -> None:
    """The client's connection breaks; the create ends by itself when the system is there again."""
    case = Case(what="supervisor", when="mid-create, aligning")
    record(case)
    async with supervised.reached() as system:

        async def create(bench: Bench) -> None:
            creating = asyncio.create_task(bench.create(as_avatar(pictures.astronaut()), new_room()))
            await bench.wait_until("aligning", media_processes(system.running.run)[0])
            supervised.kill()
            case.fault_now()
            case.held = f"client: {said_by(await creating)}; "

        await on_bench(system, case, create)
    await started_again(supervised, case, [])


@pytest.mark.parametrize("ending", [False, True], ids=["mid_session", "during_the_end"])
async def test_killed_with_a_session(supervised: SupervisedSystem, record: Record, *, ending: bool) -> None:
    """The picture goes with its server; within 30 s, the new start included, the session has ended, once."""
    case = Case(what="supervisor", when="during the end" if ending else "mid-session")
    record(case)
    found: list[Live] = []
    async with supervised.reached() as system:

        async def kill_it(bench: Bench) -> None:
            async with bench.live(as_avatar(pictures.astronaut())) as live:
                found.append(live)
                asking = asyncio.create_task(bench.ask_for_end(live.session_id)) if ending else None
                await asyncio.sleep(0.008)
                supervised.kill()
                case.fault_now()
                if asking is not None:
                    case.held = f"first answer: {said_by(await asking)}; "

        await on_bench(system, case, kill_it)
    await started_again(supervised, case, [live.session_id for live in found])
