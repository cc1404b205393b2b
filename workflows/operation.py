"""What operators' workflows have in common: they tell how far they are, and whoever asks is answered."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.operations import BATCH, LINES_KEPT, OperationOutcome, Progress, SessionsDealtWith, changed

One = TypeVar("One")

STEPS_AT_ONCE = 5
"""A hundred sessions move or end at once."""


class Operation:
    """The progress of an operation: in words, in numbers, and as a line in the Temporal UI."""

    def __init__(self, title: str, progress: Progress) -> None:
        self._title = title
        self._progress = progress

    @workflow.query
    def progress(self) -> Progress:
        """How far it is."""
        return self._progress

    def tell(self, *lines: str) -> None:
        """Say something to whoever follows."""
        kept = (*self._progress.lines, *lines)[-LINES_KEPT:]
        self._note(told=self._progress.told + len(lines), lines=kept)

    def count(self, dealt: SessionsDealtWith) -> None:
        """Take in what a step has done."""
        before = self._progress
        self._note(done=before.done + dealt.done, troubles=before.troubles + dealt.troubles)
        self.tell(*dealt.lines)

    def leave(self, number: int) -> None:
        """Say how many are still there."""
        self._note(left=number)

    def outcome(self, receipt_id: str = "") -> OperationOutcome:
        """How it closes."""
        return OperationOutcome(title=self._title, progress=self._progress, receipt_id=receipt_id)

    def _note(self, **changes: object) -> None:
        self._progress = changed(self._progress, **changes)
        now = self._progress
        last = "".join(f"\n- {line}" for line in now.lines[-10:])
        workflow.set_current_details(f"**{now.done}** done, {now.left} left, {now.troubles} troubles{last}")


def batches(of: Sequence[One]) -> list[Sequence[One]]:
    """Parts that one step deals with."""
    return [of[start : start + BATCH] for start in range(0, len(of), BATCH)]


def is_long() -> bool:
    """Is this run's history so long that a fresh one should go on?"""
    return workflow.info().is_continue_as_new_suggested()


async def pause(seconds: float, summary: str) -> None:
    """Wait, and say for what."""
    await workflow.sleep(timedelta(seconds=seconds), summary=summary)
