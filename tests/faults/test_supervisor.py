"""Kill -9 of the supervisor itself: everything below it ends, and the next run on the same folder has all it had."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable

import pytest
from sqlalchemy import func, select

from database.audit import SessionStep
from database.engine import reading
from database.tables import session_events
from domain.session import EndReason
from support import pictures
from support.auditor import Auditor
from support.fault_bench import WITHIN_S, Bench, Case, said_by
from support.fault_database import SQLiteDatabase
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
        database = SQLiteDatabase(system.folder)
        auditor = Auditor(system.folder, database, system.running.run, system.temporal, admin, port=port)
        outcome = what(Bench(system, database, auditor, case))
        assert asyncio.iscoroutine(outcome)
        await outcome


ENDS = {EndReason.SERVER_LOST, EndReason.ENDED_BY_REQUEST, EndReason.ROOM_UNREACHABLE}


async def started_again(supervised: SupervisedSystem, case: Case, sessions: list[str]) -> None:
    """Nothing is left of the old run; a new one on the folder goes on with what it finds, and takes new sessions.

    A session that was running is taken over by the new avatar server, unless its room does not come back in time.
    """
    assert supervised.gone(10)
    await supervised.start()
    ready_s = case.since_fault()
    async with supervised.reached() as system:

        async def check(bench: Bench) -> None:
            became = {await gone_on(bench, system, session_id) for session_id in sessions}
            async with asyncio.timeout(WITHIN_S - case.since_fault()):
                # A create whose client is gone may still start; this ends it as its user would have.
                while open_now := bench.rows("SELECT session_id FROM sessions WHERE ended_at IS NULL"):
                    for (session_id,) in open_now:
                        await bench.end_at_last(str(session_id))
            ended_s = case.since_fault()
            await bench.create_works(as_avatar(pictures.astronaut()))
            how = ", ".join(sorted(became)) or "nothing left"
            case.steady(f"{case.held}ready again after {ready_s:.1f} s; {how} after {ended_s:.1f} s; next create works")
            await bench.whole()

        await on_bench(system, case, check)


async def gone_on(bench: Bench, system: RealSystem, session_id: str) -> str:
    """What became of a session of the old run: taken over, and then ended here; or ended with a reason."""
    moved = select(func.count()).where(
        session_events.c.session_id == session_id, session_events.c.step == SessionStep.MOVED
    )
    while not (session := await bench.seen(session_id)) or session["status"] != "ended":
        assert bench.case.since_fault() < WITHIN_S, session
        async with reading(system.engine) as connection:
            if await connection.scalar(moved):
                assert (await bench.end_at_last(session_id))["end_reason"] == EndReason.ENDED_BY_REQUEST
                return f"taken over after {bench.case.since_fault():.1f} s, then ended"
        await asyncio.sleep(0.1)
    assert session["end_reason"] in ENDS, session
    return f"ended as {session['end_reason']}"


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
    """Within 30 s, the new start included, the session is taken over by the new server, or has ended, once."""
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
