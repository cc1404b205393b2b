"""What an operator may do to a session in the Temporal UI: the session ends or goes on, and is billed once."""

from collections.abc import Callable

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import WorkflowExecutionStatus

from support.eventually import eventually
from support.fault_bench import Bench
from support.real_system import RealSystem
from support.steadiness import three_tries

Begin = Callable[[str, str], Bench]

ORPHANED_FOR_S = 30.0
"""What is promised of an orphan: cleaned within this time."""


async def test_a_terminated_session_ends_within_half_a_minute(
    real_system: RealSystem, astronaut: str, begin: Begin
) -> None:
    """No timer is left: the reconciler writes `terminated`, frees place and slot, and the avatar leaves the room."""
    bench = begin("workflow terminated", "mid-session")
    async with bench.live(astronaut) as live:
        handle = real_system.temporal.get_workflow_handle(live.session_id)
        bench.case.fault_now()
        await handle.terminate("by an operator")
        query = "SELECT end_reason FROM sessions WHERE session_id = ?"
        await eventually(lambda: bench.rows(query, live.session_id) == [("terminated",)], within_s=ORPHANED_FOR_S)
        orphaned_s = bench.case.since_fault()
        await bench.gone_from(live.room)
        bench.case.steady(f"ended as terminated after {orphaned_s:.1f} s")
        assert (await handle.describe()).status == WorkflowExecutionStatus.TERMINATED
        ended = await real_system.end(live.session_id)
        assert (ended["status"], ended["end_reason"]) == ("ended", "terminated")
    await bench.whole()


@three_tries
async def test_a_reset_session_goes_on(real_system: RealSystem, astronaut: str, begin: Begin) -> None:
    """The new run climbs the ladder again and finds everything done: the same avatar, one lease, one start, one end."""
    bench = begin("workflow reset", "mid-session")
    async with bench.live(astronaut) as live:
        bench.case.fault_now()
        await reset(real_system, live.session_id)
        await bench.untouched(live)
        bench.case.steady("same session, still started, same avatar")
        ended = await real_system.end(live.session_id)
        assert ended["end_reason"] == "ended_by_request"
        steps = bench.rows("SELECT step FROM session_events WHERE session_id = ? ORDER BY id", live.session_id)
        assert len(steps) == len(set(steps))
        generations = bench.rows("SELECT generation FROM leases WHERE session_id = ?", live.session_id)
        assert generations == [(1,)]
    await bench.whole()


async def reset(system: RealSystem, session_id: str) -> None:
    """Reset a workflow to its first task, as the button in the UI does."""
    history = await system.temporal.get_workflow_handle(session_id).fetch_history()
    first = next(e for e in history.events if e.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
    run_id = history.events[0].workflow_execution_started_event_attributes.original_execution_run_id
    await system.temporal.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=system.temporal.namespace,
            workflow_execution=WorkflowExecution(workflow_id=session_id, run_id=run_id),
            reason="by an operator",
            workflow_task_finish_event_id=first.event_id,
            request_id=run_id,
        )
    )
