"""What the API asks of a session's workflow: to start, to last longer, and to end."""

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
)
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from api.temporal_calls import GRACE_S, TASK_WITHIN, Canceller, Starter, TooLong, bounded, refusal_of
from contracts import queues, search_attributes
from contracts.session_workflow import (
    CREATE_UPDATE_ID,
    CreateSessionInput,
    EndSession,
    ExtendSession,
    SessionEnded,
    SessionExtended,
    SessionOutcome,
    SessionStarted,
    workflow_id,
)
from domain.failures import FailureCode, Refused, Unavailable
from domain.session import SessionStatus
from workflows.create_session import CreateSessionWorkflow

Start = WithStartWorkflowOperation[CreateSessionWorkflow, SessionOutcome]

END_WITHIN_S = 5.0


class SessionsGateway:
    """Creates and ends sessions by updates of their workflows."""

    def __init__(self, client: Client, canceller: Canceller, wait_s: float) -> None:
        self._client = client
        self._starter = Starter(client, canceller, wait_s)

    async def create(self, command: CreateSessionInput) -> SessionStarted:
        """Start the session's workflow and answer when the avatar is in the room; its refusals as `Starter` says."""
        try:
            return await self._starter.answer(
                _start_of(command),
                CreateSessionWorkflow.await_started,
                workflow_id=workflow_id(command.session_id),
                update_id=CREATE_UPDATE_ID,
                within=command.create_within,
            )
        except WorkflowAlreadyStartedError:
            raise Refused(FailureCode.CREATE_CANCELLED, "the session was closed before it was answered") from None

    async def join(self, session_id: str, within_s: float) -> SessionStarted | None:
        """The answer to the create of a session whose workflow is there already; None where it is not.

        Refused as the create was; Unavailable where the answer does not come in time. Nothing is given up.
        """
        handle = self._client.get_workflow_handle_for(CreateSessionWorkflow.run, workflow_id(session_id))
        asked = handle.execute_update(CreateSessionWorkflow.await_started, id=CREATE_UPDATE_ID)
        try:
            return await bounded(asked, within_s + GRACE_S)
        except WorkflowUpdateFailedError as error:
            raise refusal_of(error.cause) from error
        except TooLong:
            raise Unavailable(f"the create of {session_id} was not answered in time") from None
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                return None
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

    async def extend(self, session_id: str, command: ExtendSession, request_id: str) -> SessionExtended:
        """Let the session end later. SESSION_ENDED if its workflow has closed; a repeated request id extends once."""
        handle = self._client.get_workflow_handle_for(CreateSessionWorkflow.run, workflow_id(session_id))
        update = handle.execute_update(CreateSessionWorkflow.extend, command, id=f"extend-{request_id}")
        try:
            return await bounded(update, END_WITHIN_S)
        except TooLong:
            raise Unavailable("the extension was not recorded in time") from None
        except WorkflowUpdateFailedError as error:
            raise refusal_of(error.cause) from error
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                raise Refused(FailureCode.SESSION_ENDED, "The session has ended") from error
            raise


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
