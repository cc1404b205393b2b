"""What the API asks of a session's workflow: to start, and to end."""

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
    WorkflowUpdateHandle,
    WorkflowUpdateStage,
)
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.service import RPCError, RPCStatusCode

from api.temporal_calls import TASK_WITHIN, Canceller, TooLong, bounded, refusal_of
from contracts import queues, search_attributes
from contracts.session_workflow import (
    CREATE_UPDATE_ID,
    CreateSessionInput,
    EndSession,
    SessionEnded,
    SessionOutcome,
    SessionStarted,
    workflow_id,
)
from domain.failures import FailureCode, Refused, Unavailable
from domain.session import SessionStatus
from workflows.create_session import CreateSessionWorkflow

Start = WithStartWorkflowOperation[CreateSessionWorkflow, SessionOutcome]

GRACE_S = 2.0
"""How much longer than the create's own time its answer is waited for: the workflow should be the one to say no."""
END_WITHIN_S = 5.0


class SessionsGateway:
    """Creates by update-with-start, so that a repeat meets the same workflow and the same answer."""

    def __init__(self, client: Client, canceller: Canceller, wait_s: float) -> None:
        self._client = client
        self._canceller = canceller
        self._wait_s = wait_s

    async def create(self, command: CreateSessionInput) -> SessionStarted:
        """Start the session's workflow and answer when the avatar is in the room.

        Refused with the workflow's code, or CREATE_TIMED_OUT; Unavailable if Temporal does not take the create in
        time. Whenever the answer is given up, the workflow is cancelled.
        """
        start = _start_of(command)
        identity = workflow_id(command.session_id)
        try:
            update = await bounded(self._accepted(start), self._wait_s)
        except (TooLong, Unavailable) as error:
            self._canceller.cancel(identity)
            raise Unavailable(f"Temporal did not take the create in time: {error}") from error
        finally:
            _quiet(start)
        try:
            return await bounded(update.result(), command.create_within.total_seconds() + GRACE_S)
        except WorkflowUpdateFailedError as error:
            raise refusal_of(error.cause) from error
        except TooLong:
            self._canceller.cancel(identity)
            raise Refused(FailureCode.CREATE_TIMED_OUT, "the session could not be created in time") from None
        except Unavailable:
            self._canceller.cancel(identity)
            raise

    async def end(self, session_id: str, command: EndSession) -> SessionEnded | None:
        """End the session and answer when the end is recorded; None if its workflow has closed already."""
        handle = self._client.get_workflow_handle_for(CreateSessionWorkflow.run, workflow_id(session_id))
        try:
            return await bounded(handle.execute_update(CreateSessionWorkflow.end, command), END_WITHIN_S)
        except TooLong:
            raise Unavailable("the end was not recorded in time") from None
        except WorkflowUpdateFailedError:
            return None
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                return None
            raise

    async def _accepted(self, start: Start) -> WorkflowUpdateHandle[SessionStarted]:
        return await self._client.start_update_with_start_workflow(
            CreateSessionWorkflow.await_started,
            start_workflow_operation=start,
            id=CREATE_UPDATE_ID,
            wait_for_stage=WorkflowUpdateStage.ACCEPTED,
        )


def _start_of(command: CreateSessionInput) -> Start:
    session = f"session of {command.account_id} in a {command.room.platform} room at {command.aspect_ratio}"
    return WithStartWorkflowOperation(
        CreateSessionWorkflow.run,
        command,
        id=workflow_id(command.session_id),
        task_queue=queues.SESSIONS,
        task_timeout=TASK_WITHIN,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        search_attributes=TypedSearchAttributes(
            [
                SearchAttributePair(search_attributes.ACCOUNT_ID, command.account_id),
                SearchAttributePair(search_attributes.SESSION_STATE, SessionStatus.CREATED),
            ]
        ),
        static_summary=session,
    )


def _quiet(start: Start) -> None:
    """Mark the operation's future as read, or asyncio logs 'never retrieved' after a failure."""
    future = start._workflow_handle  # noqa: SLF001 - the SDK offers no other way to read it without waiting
    if future.done() and not future.cancelled():
        future.exception()
