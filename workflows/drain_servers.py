"""Avatar servers are emptied: they get nothing new, and what they have moves, ends or is waited for."""

import asyncio
from collections.abc import Sequence

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts import steps
    from contracts.operations import (
        DrainServers,
        MoveSessionsInput,
        OperationOutcome,
        ServedSession,
        TakeOutInput,
        TakeOutResult,
        changed,
    )
from workflows.operation import STEPS_AT_ONCE, Operation, batches, is_long, pause
from workflows.step_options import perform

AGAIN_S = 5.0
"""A session that found no other server tries again so long afterwards, while the drain waits."""
LOOK_EVERY_S = 2.0
"""Where sessions are only waited out."""


@workflow.defn
class DrainServersWorkflow(Operation):
    """Goes on whoever follows it. Rounds look anew each time, so nothing is done twice that was done."""

    @workflow.init
    def __init__(self, command: DrainServers) -> None:
        super().__init__(command.title, command.progress)
        self._command = command

    @workflow.run
    async def run(self, command: DrainServers) -> OperationOutcome:
        """One round over all sessions, or rounds until none is left."""
        while True:
            before = self._progress.left
            left = await self._round()
            self.leave(left)
            if not left or not command.wait:
                return self.outcome()
            if left != before:
                self.tell(f"{left} sessions are still there")
            if is_long():
                workflow.continue_as_new(changed(command, progress=self._progress))
            await pause(AGAIN_S if command.move else LOOK_EVERY_S, f"{left} sessions are still there")

    async def _round(self) -> int:
        """Deal with every session once; how many are still there."""
        command = self._command
        turns = asyncio.Semaphore(STEPS_AT_ONCE)
        after, looked = "", True
        while looked and (command.move or command.end):
            found = await self._take_out(after)
            await asyncio.gather(*(self._clear(batch, turns) for batch in batches(found.sessions)))
            looked = bool(found.sessions)
            after = found.sessions[-1].session_id if looked else ""
        return (await self._take_out("")).number

    async def _take_out(self, after: str) -> TakeOutResult:
        wanted = TakeOutInput(boots=self._command.boots, version=self._command.version, after=after)
        return await perform(steps.take_out, wanted, summary="give them nothing new, and look what they serve")

    async def _clear(self, sessions: Sequence[ServedSession], turns: asyncio.Semaphore) -> None:
        wanted = MoveSessionsInput(sessions=tuple(sessions), move=self._command.move, end=self._command.end)
        async with turns:
            summary = f"{'move' if wanted.move else 'end'} {len(sessions)} sessions"
            self.count(await perform(steps.move_sessions, wanted, summary=summary))
