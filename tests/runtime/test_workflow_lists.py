"""Lists of workflows: a paused one is among what is open, and pages follow each other."""

import pytest
from temporalio.api.workflowservice.v1 import PauseWorkflowExecutionRequest
from temporalio.client import Client
from ulid import ULID

from runtime import workflow_lists
from runtime.workflow_lists import OPEN, listed


async def test_a_paused_workflow_is_open(temporal_deserted: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator's pause hides nothing, and three pages are one list; a closed workflow is not in it."""
    monkeypatch.setattr(workflow_lists, "PAGE", 1)
    queue = f"lists-{ULID()}"
    handles = [await temporal_deserted.start_workflow("Nobody", id=f"{queue}-{n}", task_queue=queue) for n in range(4)]
    await temporal_deserted.workflow_service.pause_workflow_execution(
        PauseWorkflowExecutionRequest(
            namespace=temporal_deserted.namespace, workflow_id=handles[0].id, reason="by an operator", request_id=queue
        )
    )
    await handles[3].terminate()
    query = f"TaskQueue = '{queue}' AND {OPEN}"
    wanted, found = {one.id for one in handles[:3]}, list[str]()

    for _ in range(100):
        found = [one.workflow_id async for one in listed(temporal_deserted, query)]
        if set(found) == wanted:
            break
    assert (set(found), len(found)) == (wanted, 3)
    assert len([one async for one in listed(temporal_deserted, query, 2)]) == 2
    for handle in handles[:3]:
        await handle.terminate()
