"""Sessions that have something in common end, in batches; the first reason that was recorded of each stays."""

import asyncio
from collections.abc import Sequence

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts import steps
    from contracts.operations import EndSelectedInput, EndSessions, FindSessionsInput, OperationOutcome, changed
from workflows.operation import STEPS_AT_ONCE, Operation, batches, is_long, pause
from workflows.step_options import perform

PASSES = 5
"""What could not be ended is tried again so often."""
AGAIN_S = 5.0


class Ending(Operation):
    """An operation that ends sessions."""

    async def end_all(self, command: EndSessions) -> int:
        """Go over the sessions until none is left, or they cannot be ended; how many are left.

        None of the run's work is lost where its history grows long: what has ended is not found again.
        """
        for number in range(PASSES):
            if number:
                await pause(AGAIN_S, f"{self._progress.left} sessions could not be ended; try again")
            left = await self._pass(command)
            self.leave(left)
            if not left:
                break
        return self._progress.left

    async def _pass(self, command: EndSessions) -> int:
        after, left = "", 0
        turns = asyncio.Semaphore(STEPS_AT_ONCE)
        while True:
            found = await perform(
                steps.find_sessions,
                FindSessionsInput(selection=command.selection, since=command.since or workflow.now(), after=after),
                summary=f"find sessions of {command.selection.title}",
            )
            ends = (self._end(batch, command, turns) for batch in batches(found.session_ids))
            left += sum(await asyncio.gather(*ends))
            after = found.last
            if not after:
                return left
            if is_long():
                workflow.continue_as_new(self.rest(command))

    def rest(self, command: EndSessions) -> object:
        """What the next run of this workflow is given."""
        return changed(command, progress=self._progress)

    async def _end(self, session_ids: Sequence[str], command: EndSessions, turns: asyncio.Semaphore) -> int:
        """How many could not be ended."""
        wanted = EndSelectedInput(session_ids=tuple(session_ids), reason=command.reason)
        async with turns:
            dealt = await perform(steps.end_selected, wanted, summary=f"end {len(session_ids)} sessions")
        self.count(dealt)
        return dealt.troubles


@workflow.defn
class EndSessionsWorkflow(Ending):
    """Goes on whoever follows it."""

    @workflow.init
    def __init__(self, command: EndSessions) -> None:
        super().__init__(command.title, command.progress)

    @workflow.run
    async def run(self, command: EndSessions) -> OperationOutcome:
        """End the sessions that were there when it was begun."""
        since = command.since or workflow.now()
        await self.end_all(changed(command, since=since))
        return self.outcome()
