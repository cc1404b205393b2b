"""Waiting in line for a slot: tries with pauses in between, and ends that do not wait for them (rule 12)."""

import asyncio
import time
from datetime import timedelta

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError, WorkflowUpdateStage
from temporalio.exceptions import ApplicationError

from contracts import queues, steps
from contracts.session_workflow import EndSession
from domain.failures import FailureCode
from support.eventually import eventually
from support.session_commands import command, create, new_session_id
from support.stand_in_steps import BOOT, Script, StandInSteps
from workflows.create_session import CreateSessionWorkflow


@pytest.fixture
def session_id() -> str:
    """A fresh session."""
    return new_session_id()


@pytest.fixture
def script(stand_ins: StandInSteps, session_id: str) -> Script:
    """How the session's steps behave."""
    return stand_ins.script(session_id)


def full(script: Script, times: int) -> None:
    """Let so many tries find no free slot."""

    async def lease(_: steps.LeaseServerInput) -> steps.LeaseServerResult:
        if script.names.count("lease_server") <= times:
            details = {"ahead": 3, "waiting": 5}
            raise ApplicationError("full", details, type=FailureCode.AT_CAPACITY, non_retryable=True)
        return steps.LeaseServerResult(boot_id=BOOT, server="stand-in-1", queue=queues.avatar_queue(BOOT))

    script.handlers["lease_server"] = lease


async def test_a_create_waits_until_it_is_its_turn(temporal: Client, session_id: str, script: Script) -> None:
    """It asks again, each time for what is left of its wait; with its duplicate key, which admission gets too."""
    full(script, 1)
    wanted = command(session_id, wait_up_to=timedelta(seconds=10), duplicate_key="alike")
    _, running = await create(temporal, wanted)
    first, second = script.asked(steps.lease_server)
    assert (first.in_turn, first.generation, first.wait_seconds) == (True, 1, 10.0)
    assert 0 < second.wait_seconds <= 8.0
    assert {one.duplicate_key for one in (first, second, *script.asked(steps.admit_session))} == {"alike"}
    await running.execute_update(CreateSessionWorkflow.end, EndSession())


async def test_after_its_wait_a_create_is_refused(temporal: Client, session_id: str, script: Script) -> None:
    """The last try, when nothing is left to wait, is the answer, and says where the create stood."""
    full(script, 99)
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await create(temporal, command(session_id, wait_up_to=timedelta(seconds=0.5)))
    cause = caught.value.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.details) == (FailureCode.AT_CAPACITY, ({"ahead": 3, "waiting": 5}, "lease_server"))
    first, last = script.asked(steps.lease_server)
    assert (first.wait_seconds, last.wait_seconds) == (0.5, 0.0)
    assert [one.reason for one in script.asked(steps.record_ended)] == [FailureCode.AT_CAPACITY]


async def test_only_the_line_may_take_what_may_be_waited(temporal: Client, session_id: str, script: Script) -> None:
    """A step that hangs is given up after the create's own time; admission counts with all of it."""

    async def hangs(_: steps.JoinRoomInput) -> steps.JoinRoomResult:
        await asyncio.sleep(30)
        raise AssertionError

    script.handlers["join_room"] = hangs
    wait = timedelta(seconds=15)
    began = time.monotonic()
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await create(temporal, command(session_id, create_within=timedelta(seconds=2) + wait, wait_up_to=wait))
    assert time.monotonic() - began < 6
    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == FailureCode.CREATE_TIMED_OUT
    [admitted] = script.asked(steps.admit_session)
    assert admitted.remaining_seconds > wait.total_seconds()


async def test_what_was_waited_is_no_part_of_the_own_time(temporal: Client, session_id: str, script: Script) -> None:
    """A create that waited for longer than its own time still has what it had for the steps after the line."""
    full(script, 1)
    wait = timedelta(seconds=15)
    wanted = command(session_id, create_within=timedelta(seconds=1.5) + wait, wait_up_to=wait)
    _, running = await create(temporal, wanted)
    first, second = script.asked(steps.lease_server)
    assert first.wait_seconds - second.wait_seconds > 1.5
    await running.execute_update(CreateSessionWorkflow.end, EndSession())


async def test_an_end_in_line_is_recorded_at_once(temporal: Client, session_id: str, script: Script) -> None:
    """Without another try, and without waiting for the next one."""
    full(script, 99)
    creating = asyncio.create_task(create(temporal, command(session_id, wait_up_to=timedelta(seconds=15))))
    await eventually(lambda: "lease_server" in script.names)
    running = temporal.get_workflow_handle_for(CreateSessionWorkflow.run, session_id)
    update = await running.start_update(
        CreateSessionWorkflow.end, EndSession(), wait_for_stage=WorkflowUpdateStage.ACCEPTED
    )
    tries = script.names.count("lease_server")
    assert (await update.result()).reason == FailureCode.CREATE_CANCELLED
    assert script.names.count("lease_server") <= tries + 1
    with pytest.raises(WorkflowUpdateFailedError):
        await creating


async def test_a_create_that_is_given_up_in_line_is_undone(temporal: Client, session_id: str, script: Script) -> None:
    """A cancellation does not wait for the next try either."""
    full(script, 99)
    creating = asyncio.create_task(create(temporal, command(session_id, wait_up_to=timedelta(seconds=15))))
    await eventually(lambda: "lease_server" in script.names)
    await temporal.get_workflow_handle(session_id).cancel()
    with pytest.raises(WorkflowUpdateFailedError):
        await creating
    assert [one.reason for one in script.asked(steps.record_ended)] == [FailureCode.CREATE_CANCELLED]


async def test_a_session_that_was_replaced_does_not_fail_over(
    temporal: Client, session_id: str, script: Script
) -> None:
    """Its server lets it go, its claim says that its end is recorded, and it asks for no further server."""

    async def gone(_: steps.StayInRoomInput) -> steps.StayInRoomResult:
        return steps.StayInRoomResult(reason="server_lost", served_ms=0)

    async def lease(value: steps.LeaseServerInput) -> steps.LeaseServerResult:
        if value.generation > 1:
            details = {"end_reason": "replaced"}
            raise ApplicationError("ended", details, type=FailureCode.LEASE_REVOKED, non_retryable=True)
        return steps.LeaseServerResult(boot_id=BOOT, server="stand-in-1", queue=queues.avatar_queue(BOOT))

    script.handlers |= {"stay_in_room": gone, "lease_server": lease}
    _, running = await create(temporal, command(session_id))
    async with asyncio.timeout(15):
        assert (await running.result()).reason == "replaced"
    assert script.names.count("lease_server") == 2
    assert script.names.count("join_room") == 1
