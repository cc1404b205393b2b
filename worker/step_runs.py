"""Tells the audit trail which run of which workflow asked for a step. It changes nothing about the step."""

from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from database.audit import StepRun, performing


class StepRuns(Interceptor):
    """For a worker whose steps write audit rows."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the interface's
        """Note the run before each step."""
        return _Noting(next)


class _Noting(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the interface's
        """Each step is a task of its own, so that what is noted goes with it."""
        info = activity.info()
        if info.workflow_id and info.workflow_run_id:
            run = StepRun(workflow_id=info.workflow_id, run_id=info.workflow_run_id, asked_at=info.scheduled_time)
            performing.set(run)
        return await super().execute_activity(input)
