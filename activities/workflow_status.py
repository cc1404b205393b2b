"""Does a workflow still run? Asked of Temporal itself; it changes nothing."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from domain.failures import Unavailable

AT_ONCE = 20
ANSWER_WITHIN = timedelta(seconds=5)
STILL_THERE = (
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING,
    # An operator has paused it. The SDK's own description of a workflow breaks at this status.
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_PAUSED,
)


async def which_run(client: Client, workflows: Sequence[str]) -> list[bool]:
    """For each workflow id, whether it runs; Unavailable if Temporal does not say."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(workflow: str) -> bool:
        async with turns:
            return await _runs(client, workflow)

    return await asyncio.gather(*(one(workflow) for workflow in workflows))


async def _runs(client: Client, workflow: str) -> bool:
    asked = DescribeWorkflowExecutionRequest(
        namespace=client.namespace, execution=WorkflowExecution(workflow_id=workflow)
    )
    try:
        described = await client.workflow_service.describe_workflow_execution(asked, timeout=ANSWER_WITHIN)
    except RuntimeError as error:  # a client that never was connected
        raise Unavailable("Temporal: no connection") from error
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return False
        raise Unavailable(f"Temporal: {error.status.name}") from error
    return described.workflow_execution_info.status in STILL_THERE
