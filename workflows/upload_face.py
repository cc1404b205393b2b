"""An upload: one picture becomes one avatar, or a refusal that says why."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from contracts import steps
    from contracts.made_avatar import MadeAvatar
    from contracts.upload_workflow import Refusal, UploadFaceInput, UploadFaceOutcome
    from domain.failures import FailureCode
from workflows.deadline import Deadline
from workflows.outcomes import show_refusal
from workflows.portrait_steps import (
    discard_staged,
    finish_avatar,
    forget_avatar,
    judge_picture,
    make_avatar,
)
from workflows.step_options import failure, perform
from workflows.undisturbed import undisturbed


@workflow.defn
class UploadFaceWorkflow:
    """Makes an avatar of a staged picture, and leaves nothing behind if it cannot."""

    @workflow.init
    def __init__(self, command: UploadFaceInput) -> None:
        self._deadline = Deadline(command.finish_within)
        self._outcome: UploadFaceOutcome | None = None

    @workflow.run
    async def run(self, command: UploadFaceInput) -> UploadFaceOutcome:
        """The avatar or the refusal. A refused picture is an answer, so the workflow completes either way."""
        try:
            made = await self._make(command)
        except ApplicationError as error:
            return await undisturbed(self._undo(command, error))
        except asyncio.CancelledError:
            await undisturbed(self._undo(command, failure(FailureCode.CREATE_CANCELLED, "the upload was cancelled")))
            raise
        # The client has its answer: the profiles that it did not wait for follow.
        await undisturbed(finish_avatar(made, command.picture) if made else discard_staged(command.picture))
        await workflow.wait_condition(workflow.all_handlers_finished)
        assert self._outcome is not None  # noqa: S101 - _make does not return before it is set
        return self._outcome

    async def _make(self, command: UploadFaceInput) -> MadeAvatar | None:
        """Make the avatar, or on a dry run judge the picture, and set the outcome."""
        if command.dry_run:
            self._outcome = UploadFaceOutcome(measures=await judge_picture(command.picture, self._deadline.remaining))
            return None
        wanted = steps.ReservePictureInput(avatar_id=command.avatar_id, account_id=command.account_id)
        within = self._deadline.remaining()
        await perform(steps.reserve_picture, wanted, summary="count it against the allowance", within=within)
        made = await make_avatar(
            command.picture,
            avatar_id=command.avatar_id,
            account_id=command.account_id,
            remaining=self._deadline.remaining,
        )
        self._outcome = UploadFaceOutcome(avatar=made.avatar)
        workflow.set_current_details(f"**made**: avatar `{made.avatar.avatar_id}`")
        return made

    @workflow.update
    async def await_avatar(self) -> UploadFaceOutcome:
        """Answer when verdict, primary portrait and preview stand."""
        await workflow.wait_condition(lambda: self._outcome is not None)
        assert self._outcome is not None  # noqa: S101 - the condition above
        return self._outcome

    async def _undo(self, command: UploadFaceInput, error: ApplicationError) -> UploadFaceOutcome:
        """Leave nothing, then let the waiting client know."""
        await forget_avatar(command.avatar_id)
        await discard_staged(command.picture)
        details = next((one for one in error.details if isinstance(one, dict)), None)
        code = error.type or FailureCode.INTERNAL_ERROR
        show_refusal(error)
        self._outcome = UploadFaceOutcome(refusal=Refusal(code=code, message=error.message, details=details))
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._outcome
