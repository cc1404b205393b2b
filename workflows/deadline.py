"""The time that a create has, checked before each step (design rule 2)."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.failures import FailureCode
from workflows.step_options import failure


class Deadline:
    """Counts from the workflow's start, so that time spent waiting for a worker counts too."""

    def __init__(self, within: timedelta) -> None:
        self._at = workflow.info().workflow_start_time + within

    def remaining(self) -> timedelta:
        """What is left; CREATE_TIMED_OUT when nothing is."""
        left = self._at - workflow.now()
        if left <= timedelta(0):
            raise failure(FailureCode.CREATE_TIMED_OUT, "the time for this request is up")
        return left
