"""How a step is run: the line of the table in `workflows/step_options.py`.

It stands here because the sandbox makes the classes of workflow modules anew for each workflow, and takes these as they
are.
"""

from datetime import timedelta

import msgspec
from temporalio.workflow import ActivityCancellationType


class StepOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How one step is run. `queue=None` runs it inside the workflow's own worker."""

    queue: str | None
    timeout: timedelta
    """Of one attempt."""
    attempts: int = 3
    first_retry: timedelta = timedelta(milliseconds=100)
    heartbeat: timedelta | None = None
    pick_up: timedelta | None = None
    """How long the step may wait for a worker; where nobody takes it by then, nobody will."""
    cancellation: ActivityCancellationType = ActivityCancellationType.TRY_CANCEL
