"""Long outages, skipped in seconds on Temporal's test server."""

from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from contracts import queues, steps
from domain.failures import FailureCode
from support.session_commands import command, new_session_id
from support.stand_in_steps import StandInSteps, standing_in
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
