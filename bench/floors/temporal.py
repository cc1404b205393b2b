"""The floor of every workflow here: update-with-start of a workflow whose steps do nothing.

A mix says which steps: `L` local, `S` on the workflow's own worker, `R` on another process, `J` there too, and not
nothing but a bare join of a room: what follows then meets a machine that is as busy as after ours.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from ulid import ULID

from bench.floors.processes import commands, say

QUEUE, REMOTE = "bench-floor", "bench-floor-remote"
STEP_WITHIN = timedelta(seconds=10)
STAY = timedelta(milliseconds=500)
"""How long the joined room goes on after the answer, as a session does."""


@activity.defn
async def nothing(value: str) -> str:
    """Do nothing."""
    return value


class Join:
    """The `J` step: a bare publisher in the remote process. Each join ends the one before."""

    def __init__(self) -> None:
        self._room: Any = None

    @activity.defn
    async def join(self, command: dict[str, Any]) -> float:
        """Join and publish; the milliseconds that it took."""
        from bench.floors.publisher import publish  # noqa: PLC0415 - LiveKit's library is for this role only

        began = time.perf_counter()
        self._room = await publish(command)
        return (time.perf_counter() - began) * 1000

    @activity.defn
    async def leave(self, _: str) -> None:
        """Leave the room."""
        if self._room is not None:
            await self._room.disconnect()
            self._room = None


@workflow.defn
class BareWorkflow:
    """Performs a mix of steps; the update answers when they are done."""

    def __init__(self) -> None:
        self._done = False
        self._join_ms = 0.0

    @workflow.run
    async def run(self, mix: str, join: dict[str, Any] | None = None) -> str:
        """One step after the other."""
        for kind in mix:
            if kind == "J":
                self._join_ms = await workflow.execute_activity_method(
                    Join.join, join or {}, task_queue=REMOTE, start_to_close_timeout=STEP_WITHIN
                )
            elif kind == "L":
                await workflow.execute_local_activity(nothing, "x", start_to_close_timeout=STEP_WITHIN)
            else:
                queue = REMOTE if kind == "R" else QUEUE
                await workflow.execute_activity(nothing, "x", task_queue=queue, start_to_close_timeout=STEP_WITHIN)
        self._done = True
        await workflow.wait_condition(workflow.all_handlers_finished)
        if join:
            await workflow.sleep(STAY)
            await workflow.execute_activity_method(
                Join.leave, "", task_queue=REMOTE, start_to_close_timeout=STEP_WITHIN
            )
        return mix

    @workflow.update
    async def await_done(self) -> float:
        """Answer when every step is done: the milliseconds of the join among them."""
        await workflow.wait_condition(lambda: self._done)
        return self._join_ms


@workflow.defn
class WaitingWorkflow:
    """Waits, and answers updates that do nothing."""

    def __init__(self) -> None:
        self._stopped = False

    @workflow.run
    async def run(self) -> None:
        """Until it is told to stop."""
        await workflow.wait_condition(lambda: self._stopped)

    @workflow.update
    async def answer(self) -> str:
        """Nothing."""
        return "x"

    @workflow.signal
    def stop(self) -> None:
        """Come to an end."""
        self._stopped = True


@asynccontextmanager
async def waiting(client: Client) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """A workflow that waits; what is given sends it one update."""
    handle = await client.start_workflow(WaitingWorkflow.run, id=f"bench-{ULID()}", task_queue=QUEUE)
    yield lambda: handle.execute_update(WaitingWorkflow.answer)
    await handle.signal(WaitingWorkflow.stop)
    await handle.result()


async def update_with_start(client: Client, mix: str, join: dict[str, Any] | None = None) -> float:
    """The floor itself; the milliseconds of the join in it, 0 without one."""
    workflow_id = f"bench-{ULID()}"
    start = WithStartWorkflowOperation(
        BareWorkflow.run,
        args=[mix, join],
        id=workflow_id,
        task_queue=QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
    )
    return await client.execute_update_with_start_workflow(BareWorkflow.await_done, start_workflow_operation=start)


async def main(address: str, role: str) -> None:
    """Work for one of the two queues until the input ends."""
    client = await Client.connect(address)
    if role == "remote":
        import bench.floors.publisher  # noqa: F401, PLC0415 - now, and not within the first join

        one = Join()
        worker = Worker(client, task_queue=REMOTE, activities=[nothing, one.join, one.leave])
    else:
        runner = UnsandboxedWorkflowRunner()
        worker = Worker(
            client,
            task_queue=QUEUE,
            workflows=[BareWorkflow, WaitingWorkflow],
            activities=[nothing],
            workflow_runner=runner,
        )
    async with worker:
        say(ready=True)
        async for _ in commands():
            pass


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
