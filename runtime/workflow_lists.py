"""Lists of workflows that survive a paused one: the SDK's own list breaks at that status."""

from collections.abc import AsyncIterator

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ListWorkflowExecutionsRequest
from temporalio.client import Client

PAGE = 200
OPEN = "CloseTime IS NULL"
"""Running or paused."""


async def listed(client: Client, query: str, at_most: int | None = None) -> AsyncIterator[WorkflowExecution]:
    """What fits a query, the newest first. RPCError where Temporal is away."""
    page, given = b"", 0
    while True:
        size = PAGE if at_most is None else min(PAGE, at_most - given)
        answer = await client.workflow_service.list_workflow_executions(
            ListWorkflowExecutionsRequest(namespace=client.namespace, query=query, page_size=size, next_page_token=page)
        )
        for found in answer.executions:
            yield found.execution
        given, page = given + len(answer.executions), answer.next_page_token
        if not page or given == at_most:
            return
