"""Long outages, skipped in seconds on Temporal's test server."""

from datetime import timedelta

import pytest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from contracts import queues, steps
from contracts.session_workflow import RoomAddress
from domain.failures import FailureCode
from domain.session import EndReason
from support.session_commands import command, new_session_id
from support.stand_in_steps import Script, StandInSteps, joined, standing_in
from workflows.create_session import CreateSessionWorkflow

FAILURES = 60
"""Three a round, and after a few rounds one round each 30 s: about eight minutes."""


async def test_a_refused_create_is_undone_after_a_long_outage_of_the_database(time_skipping: Client) -> None:
    """The end is tried again without limit, with pauses of at most 30 s, and what follows it is done then."""
    session_id = new_session_id()
    async with standing_in(time_skipping) as stand_ins:
        script = stand_ins.script(session_id, refusals={"align_face": FailureCode.NO_FACE})
        failures = iter(range(FAILURES))

        async def away(value: steps.RecordEndedInput) -> steps.RecordEndedResult:
            if next(failures, None) is not None:
                raise ApplicationError("away", type=FailureCode.TEMPORARILY_UNAVAILABLE)
            return await StandInSteps()._record_ended(script, value)

        script.handlers["record_ended"] = away
        handle = await time_skipping.start_workflow(
            CreateSessionWorkflow.run,
            command(session_id, with_picture=True),
            id=session_id,
            task_queue=queues.SESSIONS,
        )
        assert (await handle.result()).reason == FailureCode.NO_FACE
        described = await handle.describe()
    assert described.close_time is not None
    assert (described.close_time - described.start_time).total_seconds() > 400
    assert script.names[-3:] == ["record_ended", "forget_avatar", "discard_staged"]


@pytest.mark.parametrize(
    ("platform", "lost_by", "waits"),
    [
        ("daily", FailureCode.TEMPORARILY_UNAVAILABLE, True),
        ("daily", FailureCode.SERVER_LOST, False),
        ("livekit", FailureCode.TEMPORARILY_UNAVAILABLE, False),
    ],
)
async def test_where_nobody_is_evicted_a_newer_avatar_waits_for_the_older(
    time_skipping: Client, platform: str, lost_by: FailureCode, waits: bool
) -> None:
    """A minute, unless the older one is known to be gone: two at once would be seen in a room of Daily, and only there.

    The next server is leased before, which revokes the lease of the one that may still run.
    """
    seconds, script = await failed_over(time_skipping, platform, lost_by)
    assert (seconds >= 60) is waits
    assert [asked.generation for asked in script.asked(steps.lease_server)] == [1, 2]
    assert [asked.generation for asked in script.asked(steps.join_room)] == [1, 2]


@pytest.mark.parametrize(("platform", "waits"), [("daily", True), ("livekit", False)])
async def test_a_join_that_failed_may_have_left_an_avatar(time_skipping: Client, platform: str, waits: bool) -> None:
    """Its server was lost in it: the next one waits for that avatar as for any other."""
    seconds, script = await failed_over(time_skipping, platform, FailureCode.SERVER_LOST, failing_joins=(2,))
    assert (seconds >= 60) is waits
    assert [asked.generation for asked in script.asked(steps.join_room)] == [1, 2, 3]


async def failed_over(
    client: Client, platform: str, lost_by: FailureCode, *, failing_joins: tuple[int, ...] = ()
) -> tuple[float, Script]:
    """How long a session took whose first server was lost and whose next one was put out of the room, and its steps."""
    session_id = new_session_id()
    async with standing_in(client) as stand_ins:
        script = stand_ins.script(session_id, server_alive=False)

        async def stay(_: steps.StayInRoomInput) -> steps.StayInRoomResult:
            if script.names.count("stay_in_room") == 1:
                raise ApplicationError("lost", type=lost_by, non_retryable=True)
            return steps.StayInRoomResult(reason=EndReason.REMOVED, served_ms=0)

        async def join(value: steps.JoinRoomInput) -> steps.JoinRoomResult:
            if value.generation in failing_joins:
                raise ApplicationError("died", type=FailureCode.SERVER_LOST, non_retryable=True)
            return joined(value)

        script.handlers |= {"stay_in_room": stay, "join_room": join}
        room = RoomAddress(platform=platform, url="https://greenroom.daily.co/stage", sealed_token="k1.c2VhbGVk")
        wanted = command(session_id, room=room, failover_within=timedelta(seconds=20))
        handle = await client.start_workflow(
            CreateSessionWorkflow.run, wanted, id=session_id, task_queue=queues.SESSIONS
        )
        assert (await handle.result()).reason == EndReason.REMOVED
        described = await handle.describe()
    assert described.close_time is not None
    return (described.close_time - described.start_time).total_seconds(), script
