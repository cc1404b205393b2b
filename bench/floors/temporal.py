"""The floor of every workflow here: update-with-start of a workflow whose steps do nothing.

A mix says which steps: `L` local, `S` on the workflow's own worker, `R` on another process.
"""

import asyncio
import sys
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from ulid import ULID

from bench.floors.processes import commands, say

QUEUE, REMOTE = "bench-floor", "bench-floor-remote"
STEP_WITHIN = timedelta(seconds=10)


@activity.defn
async def nothing(value: str) -> str:
    """Do nothing."""
    return value


@workflow.defn
class BareWorkflow:
    """Performs a mix of steps; the update answers when they are done."""

    def __init__(self) -> None:
        self._done = False

    @workflow.run
    async def run(self, mix: str) -> str:
        """One step after the other."""
        for kind in mix:
            if kind == "L":
                await workflow.execute_local_activity(nothing, "x", start_to_close_timeout=STEP_WITHIN)
            else:
                queue = REMOTE if kind == "R" else QUEUE
                await workflow.execute_activity(nothing, "x", task_queue=queue, start_to_close_timeout=STEP_WITHIN)
        self._done = True
        await workflow.wait_condition(workflow.all_handlers_finished)
        return mix

    @workflow.update
    async def await_done(self) -> bool:
        """Answer when every step is done."""
        await workflow.wait_condition(lambda: self._done)
        return True


async def update_with_start(client: Client, mix: str) -> None:
    """The floor itself."""
    start = WithStartWorkflowOperation(
        BareWorkflow.run,
        mix,
        id=f"bench-{ULID()}",
        task_queue=QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
    )
    await client.execute_update_with_start_workflow(BareWorkflow.await_done, start_workflow_operation=start)


async def main(address: str, role: str) -> None:
    """Work for one of the two queues until the input ends."""
    client = await Client.connect(address)
    if role == "remote":
        worker = Worker(client, task_queue=REMOTE, activities=[nothing])
    else:
        runner = UnsandboxedWorkflowRunner()
        worker = Worker(
            client, task_queue=QUEUE, workflows=[BareWorkflow], activities=[nothing], workflow_runner=runner
        )
    async with worker:
        say(ready=True)
        async for _ in commands():
            pass


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
