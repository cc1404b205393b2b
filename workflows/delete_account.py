"""An account goes, with everything derived from it: sessions, objects, rows, and last the account itself."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts import steps
    from contracts.erasing import CloseAccountInput, DeleteAccount, EraseInput, LookForWorkInput
    from contracts.operations import EndSessions, OperationOutcome, changed
    from domain.selections import Selection
    from domain.session import EndReason
from workflows.end_sessions import Ending
from workflows.operation import is_long, pause
from workflows.step_options import perform

AGAIN_S = 2.0
QUIET_LOOKS = 2
"""Nobody works for the account any more if so many looks in a row say so."""


@workflow.defn
class DeleteAccountWorkflow(Ending):
    """Goes on whoever follows it. Every part can be done again: what is gone is not found."""

    @workflow.init
    def __init__(self, command: DeleteAccount) -> None:
        super().__init__(command.title, command.progress)
        self._command = command

    @workflow.run
    async def run(self, command: DeleteAccount) -> OperationOutcome:
        """Close, end, wait, delete; the outcome names the receipt."""
        wanted = CloseAccountInput(account_id=command.account_id, receipt_id=command.receipt_id)
        closed = await perform(steps.close_account, wanted, summary="revoke its keys, and admit nothing more")
        self.tell(f"receipt {closed.receipt_id}")
        chosen = Selection(account_id=command.account_id)
        await self.end_all(
            EndSessions(selection=chosen, reason=EndReason.ACCOUNT_CLOSED, since=workflow.now() + timedelta(minutes=1))
        )
        await self._wait_until_quiet()
        await self._erase(EraseInput(account_id=command.account_id, receipt_id=closed.receipt_id))
        return self.outcome(closed.receipt_id)

    def rest(self, command: EndSessions) -> object:  # noqa: ARG002
        """The next run begins again: what is done is not found any more."""
        return changed(self._command, progress=self._progress)

    async def _wait_until_quiet(self) -> None:
        quiet = 0
        while quiet < QUIET_LOOKS:
            found = await perform(
                steps.look_for_work,
                LookForWorkInput(account_id=self._command.account_id),
                summary="look who still works for it",
            )
            quiet = 0 if found.number else quiet + 1
            if is_long():
                workflow.continue_as_new(changed(self._command, progress=self._progress))
            await pause(AGAIN_S, f"{found.number} sessions, slots and uploads are not over")

    async def _erase(self, wanted: EraseInput) -> None:
        number = avatars = 0
        while (gone := await perform(steps.erase_objects, wanted, summary="delete pictures")).number:
            avatars += gone.number
        self.tell(f"{avatars} avatars and their pictures are deleted")
        while (gone := await perform(steps.erase_rows, wanted, summary="delete rows")).number:
            number += gone.number
        self.tell(f"{number} sessions, and the account, are deleted")
