"""The time that a create has, checked before each step (design rule 2)."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.failures import FailureCode
from workflows.step_options import failure


class Deadline:
    """Counts from the workflow's start, so that time spent waiting for a worker counts too."""

    def __init__(self, within: timedelta, line: timedelta = timedelta(0)) -> None:
        """`line` is what of `within` may be spent waiting in line, and on nothing else."""
        self._latest = workflow.info().workflow_start_time + within
        self._at = self._latest - line

    def remaining(self) -> timedelta:
        """What is left; CREATE_TIMED_OUT when nothing is."""
        return _left(self._at)

    def longest(self) -> timedelta:
        """What would be left if the create waited in line for as long as it may."""
        return _left(self._latest)

    @contextmanager
    def in_line(self) -> Iterator[None]:
        """What the block takes is waiting in line: only what it took is added to the time for the steps after it."""
        began, own = workflow.now(), self._at
        self._at = self._latest
        try:
            yield
        finally:
            self._at = min(self._latest, own + (workflow.now() - began))


def _left(until: datetime) -> timedelta:
    left = until - workflow.now()
    if left <= timedelta(0):
        raise failure(FailureCode.CREATE_TIMED_OUT, "the time for this request is up")
    return left
