"""What the API asks of an upload's workflow."""

from typing import Any

from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)

from api.temporal_calls import TASK_WITHIN, Canceller, Starter
from contracts import queues, search_attributes
from contracts.portraits import AvatarRef
from contracts.upload_workflow import UPLOAD_UPDATE_ID, UploadFaceInput, UploadFaceOutcome, upload_workflow_id
from domain.failures import FailureCode, Refused
from workflows.upload_face import UploadFaceWorkflow


class UploadsGateway:
    """Runs one workflow per upload and answers as soon as the avatar can be shown; the workflow goes on."""

    def __init__(self, client: Client, canceller: Canceller, wait_s: float) -> None:
        self._starter = Starter(client, canceller, wait_s)

    async def upload(self, command: UploadFaceInput) -> AvatarRef | dict[str, Any]:
        """The avatar, or on a dry run the measures; Refused with the verdict's code, and else as `Starter` says."""
        identity = upload_workflow_id(command.avatar_id)
        start = WithStartWorkflowOperation(
            UploadFaceWorkflow.run,
            command,
            id=identity,
            task_queue=queues.SESSIONS,
            task_timeout=TASK_WITHIN,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            search_attributes=TypedSearchAttributes(
                [SearchAttributePair(search_attributes.ACCOUNT_ID, command.account_id)]
            ),
            static_summary=f"face upload of {command.account_id}",
        )
        outcome = await self._starter.answer(
            start,
            UploadFaceWorkflow.await_avatar,
            workflow_id=identity,
            update_id=UPLOAD_UPDATE_ID,
            within=command.finish_within,
        )
        return _made(outcome)


def _made(outcome: UploadFaceOutcome) -> AvatarRef | dict[str, Any]:
    if outcome.avatar is not None:
        return outcome.avatar
    if outcome.measures is not None:
        return outcome.measures
    if outcome.refusal is None:
        raise Refused(FailureCode.INTERNAL_ERROR, "something went wrong on our side")
    refusal = outcome.refusal
    raise Refused(FailureCode(refusal.code), refusal.message, details=refusal.details)
