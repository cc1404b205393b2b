"""Counts and times each step, and lets its log lines say whose it is. It changes nothing about the step."""

import time
from typing import Any, Final

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory, is_cancelled_exception
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from contracts import steps
from domain.failures import FailureCode
from telemetry import spans
from telemetry.about import note
from telemetry.metrics import STEP_REFUSALS, STEP_SECONDS

UNTIMED: Final = frozenset({steps.stay_in_room.name})
"""They last as long as a session."""


class StepWatch(Interceptor):
    """For every worker."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the interface's
        """Watch each step."""
        return _Watching(next)


class _Watching(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the interface's
        """Each step is a task of its own, so that what is noted goes with it."""
        step = activity.info().activity_type
        note(**_ids(input))
        began, outcome = time.monotonic(), "failed"
        try:
            result = await super().execute_activity(input)
            outcome = "ok"
            return result
        except BaseException as error:
            outcome = _outcome(step, error)
            raise
        finally:
            if step not in UNTIMED:
                STEP_SECONDS.labels(step, outcome).observe(time.monotonic() - began)


def _ids(input: ExecuteActivityInput) -> dict[str, str]:  # noqa: A002 - the interface's
    """Whose step it is: what Temporal says, and what the step's own input does."""
    info = activity.info()
    told = input.args[0] if input.args else None
    own = {name: getattr(told, name, None) for name in ("session_id", "account_id", "generation")}
    found = {"workflow_id": info.workflow_id, "run_id": info.workflow_run_id, "activity": info.activity_type, **own}
    if (tracing := spans.active()) is not None:
        found["trace_id"] = tracing.trace_id()
    return {name: str(value) for name, value in found.items() if value}


def _outcome(step: str, error: BaseException) -> str:
    """How a step ended that raised; what it was refused with is counted beside."""
    if is_cancelled_exception(error):
        return "cancelled"
    if not isinstance(error, ApplicationError) or error.type not in FailureCode.__members__:
        return "failed"
    STEP_REFUSALS.labels(step, error.type).inc()
    return "refused" if error.category is ApplicationErrorCategory.BENIGN else "failed"
