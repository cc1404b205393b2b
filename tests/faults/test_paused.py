"""An operator pauses a session's workflow: what stands still, what goes on, and what happens when it may go on."""

import asyncio
from collections.abc import Callable

from temporalio.api.workflowservice.v1 import PauseWorkflowExecutionRequest, UnpauseWorkflowExecutionRequest

from contracts.reconciling import EVERY
from support.fault_bench import Bench
from support.real_system import RealSystem

Begin = Callable[[str, str], Bench]


async def test_a_paused_session_goes_on(real_system: RealSystem, astronaut: str, begin: Begin) -> None:
    """The picture goes on, an end is refused for now, nobody takes it for orphaned; then one lease and one end."""
    bench = begin("workflow paused", "mid-session")
    async with bench.live(astronaut) as live:
        await pause(real_system, live.session_id)
        bench.case.fault_now()
        refused = await bench.ask_for_end(live.session_id)
        assert refused is not None
        assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
        await asyncio.sleep(EVERY.total_seconds() + 5)
        await bench.untouched(live)
        await unpause(real_system, live.session_id)
        ended = await bench.end_at_last(live.session_id)
        bench.case.steady("picture untouched, end refused meanwhile and recorded afterwards")
        assert ended["end_reason"] == "ended_by_request"
        assert bench.rows("SELECT generation FROM leases WHERE session_id = ?", live.session_id) == [(1,)]
        await bench.gone_from(live.room)
    await bench.whole()


async def pause(system: RealSystem, session_id: str) -> None:
    """As the button in the UI does."""
    await system.temporal.workflow_service.pause_workflow_execution(
        PauseWorkflowExecutionRequest(
            namespace=system.temporal.namespace, workflow_id=session_id, reason="by an operator", request_id="pause"
        )
    )


async def unpause(system: RealSystem, session_id: str) -> None:
    """Let it go on."""
    await system.temporal.workflow_service.unpause_workflow_execution(
        UnpauseWorkflowExecutionRequest(
            namespace=system.temporal.namespace, workflow_id=session_id, reason="by an operator", request_id="unpause"
        )
    )
