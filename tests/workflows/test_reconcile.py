"""The reconciler's workflow on a real dev server, with stand-ins for its steps."""

import pytest
from temporalio.client import Client
from ulid import ULID

from contracts import queues
from contracts.reconciling import Reconciled
from domain.failures import FailureCode
from support.stand_in_steps import StandInSteps
from workflows.reconcile import ReconcileWorkflow

STEPS = ["end_orphans", "release_leftovers", "discard_leftovers"]


@pytest.mark.parametrize("failing", [None, *STEPS])
async def test_what_cannot_be_done_now_stops_nothing_else(
    temporal: Client, stand_ins: StandInSteps, failing: str | None
) -> None:
    """Every step is tried in each run, and the outcome says what was mended and what was put off."""
    name = f"reconcile-{ULID()}"
    script = stand_ins.script(name, refusals={failing: FailureCode.TEMPORARILY_UNAVAILABLE} if failing else {})
    outcome = await temporal.execute_workflow(ReconcileWorkflow.run, id=name, task_queue=queues.SESSIONS)
    assert script.names == STEPS
    usual = {"looked": 3, "ended": 1} if failing != "end_orphans" else {}
    usual |= {"released": 2} if failing != "release_leftovers" else {}
    usual |= {"discarded": 4} if failing != "discard_leftovers" else {}
    assert outcome == Reconciled(**usual, undone=(failing,) if failing else ())
