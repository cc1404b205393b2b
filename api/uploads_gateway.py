"""What the API asks of an upload's workflow."""

from temporalio.client import Client, WorkflowFailureError

from api.temporal_calls import TASK_WITHIN, Canceller, TooLong, bounded, refusal_of
from contracts import queues
from contracts.portraits import AvatarRef
from contracts.upload_workflow import UploadFaceInput, UploadFaceOutcome, upload_workflow_id
from domain.failures import FailureCode, Refused, Unavailable
from workflows.upload_face import UploadFaceWorkflow

GRACE_S = 2.0


class UploadsGateway:
    """Runs one workflow per upload and waits for its outcome."""

    def __init__(self, client: Client, canceller: Canceller, wait_s: float) -> None:
        self._client = client
        self._canceller = canceller
        self._wait_s = wait_s

    async def upload(self, command: UploadFaceInput) -> AvatarRef:
        """The new avatar; Refused with the verdict's code, or CREATE_TIMED_OUT."""
        identity = upload_workflow_id(command.avatar_id)
        try:
            handle = await bounded(
                self._client.start_workflow(
                    UploadFaceWorkflow.run,
                    command,
                    id=identity,
                    task_queue=queues.SESSIONS,
                    task_timeout=TASK_WITHIN,
                    static_summary=f"face upload of {command.account_id}",
                ),
                self._wait_s,
            )
        except (TooLong, Unavailable) as error:
            self._canceller.cancel(identity)
            raise Unavailable(f"Temporal did not take the upload in time: {error}") from error
        try:
            outcome = await bounded(handle.result(), command.finish_within.total_seconds() + GRACE_S)
        except TooLong:
            self._canceller.cancel(identity)
            raise Refused(FailureCode.CREATE_TIMED_OUT, "the picture could not be processed in time") from None
        except Unavailable:
            self._canceller.cancel(identity)
            raise
        except WorkflowFailureError as error:
            raise refusal_of(error.cause) from error
        return _avatar_of(outcome)


def _avatar_of(outcome: UploadFaceOutcome) -> AvatarRef:
    if outcome.avatar is not None:
        return outcome.avatar
    if outcome.refusal is None:
        raise Refused(FailureCode.INTERNAL_ERROR, "something went wrong on our side")
    refusal = outcome.refusal
    raise Refused(FailureCode(refusal.code), refusal.message, details=refusal.details)
