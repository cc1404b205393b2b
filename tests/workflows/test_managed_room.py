"""The room that a session's workflow makes and deletes, with stand-ins for the steps."""

import asyncio
from typing import Any

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from contracts import steps
from contracts.session_workflow import EndSession, RoomAddress
from domain.failures import FailureCode
from support.session_commands import command, create, new_session_id
from support.stand_in_steps import Script, StandInSteps
from workflows.create_session import CreateSessionWorkflow

NAME = "greenroom-1"
ROOM = RoomAddress(platform="proxy", url="ws://livekit:7880", sealed_token="k1.c2VhbGVk", managed_name=NAME)


@pytest.fixture
def session_id() -> str:
    """A fresh session."""
    return new_session_id()


@pytest.fixture
def script(stand_ins: StandInSteps, session_id: str) -> Script:
    """How the session's steps behave."""
    return stand_ins.script(session_id)


async def closed(client: Client, session_id: str) -> None:
    """Wait until the workflow has closed."""
    async with asyncio.timeout(20):
        await client.get_workflow_handle(session_id).result()


async def refused(client: Client, session_id: str) -> ApplicationError:
    """The refusal of a create that must fail; its workflow has closed."""
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await create(client, command(session_id, room=ROOM))
    await closed(client, session_id)
    assert isinstance(caught.value.cause, ApplicationError)
    return caught.value.cause


async def test_the_room_is_there_before_the_avatar_and_goes_after_it(
    temporal: Client, session_id: str, script: Script
) -> None:
    """It is made while the server is leased, and outlives the timers that end a session; the answer says its name."""
    started, running = await create(temporal, command(session_id, room=ROOM))
    assert started.managed_room == NAME
    await running.execute_update(CreateSessionWorkflow.end, EndSession())
    await closed(temporal, session_id)
    names = script.names
    assert names.index("admit_session") < names.index("make_room") < names.index("join_room")
    assert names[-2:] == ["record_ended", "delete_room"]
    assert script.left
    (made,) = script.asked(steps.make_room)
    assert (made.name, made.empty_seconds, made.departure_seconds) == (NAME, 20 + 120 + 60, 20 + 60)
    assert script.asked(steps.delete_room) == [steps.DeleteRoomInput(name=NAME)]


async def test_the_room_outlives_the_timers_of_the_plan(temporal: Client, session_id: str, script: Script) -> None:
    """Where a plan is more patient than the settings, LiveKit is too: or the room would be gone before the session."""

    async def patient(_: Any) -> steps.CalculateExpiryResult:
        return steps.CalculateExpiryResult(
            plan="patient", plan_seconds=None, enforced_seconds=3600, nobody_joined_s=900, participants_left_s=300
        )

    script.handlers["calculate_expiry"] = patient
    _, running = await create(temporal, command(session_id, room=ROOM))
    await running.execute_update(CreateSessionWorkflow.end, EndSession())
    await closed(temporal, session_id)
    (made,) = script.asked(steps.make_room)
    assert (made.empty_seconds, made.departure_seconds) == (20 + 900 + 60, 300 + 60)


@pytest.mark.parametrize("failing", ["make_room", "lease_server", "join_room", "record_started"])
async def test_a_create_that_fails_leaves_no_room(
    temporal: Client, session_id: str, script: Script, failing: str
) -> None:
    """Whatever fails once the room was asked for, it is deleted, after the client was told."""
    script.refusals[failing] = FailureCode.AT_CAPACITY
    assert (await refused(temporal, session_id)).type == FailureCode.AT_CAPACITY
    assert script.names[-2:] == ["record_ended", "delete_room"]


async def test_a_create_that_is_refused_earlier_asks_for_no_room(
    temporal: Client, session_id: str, script: Script
) -> None:
    """Before admission there is nothing to undo."""
    script.refusals["admit_session"] = FailureCode.CONCURRENCY_LIMIT_REACHED
    await refused(temporal, session_id)
    assert not {"make_room", "delete_room"} & set(script.names)


async def test_a_room_of_the_customers_own_is_left_alone(temporal: Client, session_id: str, script: Script) -> None:
    """It is neither made nor deleted, and the answer names none."""
    started, running = await create(temporal, command(session_id))
    await running.execute_update(CreateSessionWorkflow.end, EndSession())
    await closed(temporal, session_id)
    assert started.managed_room == ""
    assert not {"make_room", "delete_room"} & set(script.names)


async def test_livekit_away_for_a_moment_only_delays_the_delete(
    temporal: Client, session_id: str, script: Script
) -> None:
    """The end has been answered long before; the delete is tried again until it is done."""
    tries: list[Any] = []

    async def away_at_first(value: steps.DeleteRoomInput) -> steps.Done:
        tries.append(value)
        if len(tries) == 1:
            raise ApplicationError("away", type=FailureCode.TEMPORARILY_UNAVAILABLE)
        return steps.Done()

    script.handlers["delete_room"] = away_at_first
    _, running = await create(temporal, command(session_id, room=ROOM))
    await running.execute_update(CreateSessionWorkflow.end, EndSession())
    await closed(temporal, session_id)
    assert len(tries) == 2
