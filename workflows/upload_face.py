"""An upload: one picture becomes one avatar, or a refusal that says why."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from contracts.upload_workflow import Refusal, UploadFaceInput, UploadFaceOutcome
    from domain.failures import FailureCode
from workflows.deadline import Deadline
from workflows.portrait_steps import discard_staged, forget_avatar, make_avatar
from workflows.undisturbed import undisturbed


@workflow.defn
class UploadFaceWorkflow:
    """Makes an avatar of a staged picture, and leaves nothing behind if it cannot."""

    @workflow.run
    async def run(self, command: UploadFaceInput) -> UploadFaceOutcome:
        """The avatar or the refusal. A refused picture is an answer, so the workflow completes either way."""
        try:
            avatar = await make_avatar(
                command.picture,
                avatar_id=command.avatar_id,
                account_id=command.account_id,
                remaining=Deadline(command.finish_within).remaining,
            )
        except ApplicationError as error:
            await undisturbed(self._undo(command))
            details = error.details[0] if error.details else None
            code = error.type or FailureCode.INTERNAL_ERROR
            return UploadFaceOutcome(refusal=Refusal(code=code, message=error.message, details=details))
        except asyncio.CancelledError:
            await undisturbed(self._undo(command))
            raise
        await undisturbed(discard_staged(command.picture))
        return UploadFaceOutcome(avatar=avatar)

    async def _undo(self, command: UploadFaceInput) -> None:
        await forget_avatar(command.avatar_id)
        await discard_staged(command.picture)
