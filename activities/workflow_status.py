"""Does a workflow still run, and which were taken away? Asked of Temporal itself; it changes nothing."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

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
LISTED_FOR = timedelta(hours=1)
"""A run of the reconciler that could not look is made up for by a later one, for so long."""
AT_MOST = 1000
TAKEN_AWAY = (
    "WorkflowType = 'CreateSessionWorkflow' AND ExecutionStatus IN ('Terminated', 'TimedOut', 'Failed', 'Canceled')"
)
"""How no session's workflow closes by itself. A reset leaves a terminated run behind too, and another that runs."""


async def taken_away(client: Client) -> list[str]:
    """Ids of sessions' workflows of which a run closed without an end lately; Unavailable if Temporal does not say.

    The list is late by a second or so, and ends with the latest thousand.
    """
    since = datetime.now(UTC) - LISTED_FOR
    query = f"{TAKEN_AWAY} AND CloseTime > '{since.isoformat()}'"
    with _answered():
        found = client.list_workflows(query, limit=AT_MOST, rpc_timeout=ANSWER_WITHIN)
        return [one.id async for one in found]


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
    with _answered():
        try:
            described = await client.workflow_service.describe_workflow_execution(asked, timeout=ANSWER_WITHIN)
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                return False
            raise
    return described.workflow_execution_info.status in STILL_THERE


@contextmanager
def _answered() -> Iterator[None]:
    """Unavailable, where Temporal gives no answer."""
    try:
        yield
    except RuntimeError as error:  # a client that never was connected
        raise Unavailable("Temporal: no connection") from error
    except RPCError as error:
        raise Unavailable(f"Temporal: {error.status.name}") from error
