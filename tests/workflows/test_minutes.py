"""A running session's minutes, with stand-ins for the steps; a slice lasts a second here."""

import asyncio

import pytest
from temporalio.client import Client

from contracts import steps
from contracts.session_workflow import EndSession, RoomSeen
from domain.session import EndReason
from support.eventually import eventually
from support.session_commands import Running, command, create, new_session_id
from support.stand_in_steps import Script, StandInSteps
from workflows.create_session import CreateSessionWorkflow


@pytest.fixture
def session_id() -> str:
    """A fresh session."""
    return new_session_id()


@pytest.fixture
def script(stand_ins: StandInSteps, session_id: str) -> Script:
    """How the session's steps behave."""
    return stand_ins.script(session_id)


async def reason_of(running: Running) -> str:
    """Why the session ended, awaited within a bound."""
    async with asyncio.timeout(30):
        return (await running.result()).reason


async def test_a_session_without_minutes_left_ends_with_its_last_slice(
    temporal: Client, session_id: str, script: Script
) -> None:
    """Each slice is asked for before the last one ends; where there is none it is asked for once more at the end."""
    script.slices = [1, 1]
    started, running = await create(temporal, command(session_id))
    assert await reason_of(running) == EndReason.MINUTES_EXHAUSTED
    assert [asked.covered_s for asked in script.asked(steps.reserve_minutes)] == [1, 2, 2]
    assert (await running.result()).started == started
    assert script.left


async def test_minutes_that_are_bought_in_time_keep_the_session(
    temporal: Client, session_id: str, script: Script
) -> None:
    """What is there at the very end of the last slice is enough."""
    script.slices = [1, 0, 60]
    _, running = await create(temporal, command(session_id))
    await eventually(lambda: script.names.count("reserve_minutes") == 2)
    ended = await running.execute_update(CreateSessionWorkflow.end, EndSession())
    assert ended.reason == EndReason.ENDED_BY_REQUEST


async def test_what_is_paid_to_its_end_asks_for_nothing(temporal: Client, session_id: str, script: Script) -> None:
    """A session that expires before its slice ends has one timer less."""
    script.slices, script.plan_seconds, script.enforced_seconds = [1], 1, 1
    _, running = await create(temporal, command(session_id))
    assert await reason_of(running) == EndReason.EXPIRED
    assert "reserve_minutes" not in script.names


async def test_a_plan_without_limit_asks_for_nothing(temporal: Client, session_id: str, script: Script) -> None:
    """And an end of a session in which nobody was says so."""
    _, running = await create(temporal, command(session_id))
    await running.execute_update(CreateSessionWorkflow.end, EndSession())
    await reason_of(running)
    assert not {"reserve_minutes", "record_attended"} & set(script.names)
    assert [asked.attended for asked in script.asked(steps.record_ended)] == [False]


async def test_the_first_person_is_noted_once(temporal: Client, session_id: str, script: Script) -> None:
    """An agent alone is nobody; whoever comes later changes nothing; the end says that somebody was there."""
    _, running = await create(temporal, command(session_id))
    for sequence, people in enumerate((0, 1, 0, 2), start=1):
        seen = RoomSeen(generation=1, sequence=sequence, people=people, agents=1)
        await running.signal(CreateSessionWorkflow.report_room, seen)
        if sequence == 1:
            assert "record_attended" not in script.names
    await eventually(lambda: "record_attended" in script.names)
    await running.execute_update(CreateSessionWorkflow.end, EndSession())
    await reason_of(running)
    assert script.names.count("record_attended") == 1
    assert [asked.attended for asked in script.asked(steps.record_ended)] == [True]


async def test_timers_of_the_plan_stand_before_the_settings(temporal: Client, session_id: str, script: Script) -> None:
    """A plan that waits half a second for somebody ends the session by then."""

    async def impatient(_: steps.CalculateExpiryInput) -> steps.CalculateExpiryResult:
        return steps.CalculateExpiryResult(plan="p", plan_seconds=None, enforced_seconds=99, nobody_joined_s=0.5)

    script.handlers["calculate_expiry"] = impatient
    _, running = await create(temporal, command(session_id))
    assert await reason_of(running) == EndReason.NOBODY_JOINED
