"""Sessions workers of several versions in one process, whose steps follow scripts."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHistory
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError
from temporalio.worker import Worker, WorkerDeploymentConfig

from contracts import queues
from runtime.deployments import Deployment
from support.stand_in_steps import BOOT, StandInSteps
from worker.registry import ROLES
from worker.sandbox import SANDBOX
from worker.versions import VersionKeeper


class VersionedWorkers:
    """Workers of one deployment; what serves steps on the other queues has no version."""

    def __init__(self, client: Client, steps: StandInSteps) -> None:
        self.client = client
        self.steps = steps
        self.name = f"test-{uuid4().hex[:8]}"
        self.deployment = Deployment(client, self.name)

    def keeper(self, build_id: str, **how: str) -> VersionKeeper:
        """What looks after versions beside a worker."""
        return VersionKeeper(self.deployment, self.client, build_id, **how)  # type: ignore[arg-type]

    @asynccontextmanager
    async def worker(self, build_id: str, workflows: Sequence[type] = ()) -> AsyncIterator[None]:
        """A worker of a version, known to Temporal; its workflows are ours unless given."""
        config = WorkerDeploymentConfig(
            version=WorkerDeploymentVersion(self.name, build_id),
            use_worker_versioning=True,
            default_versioning_behavior=VersioningBehavior.PINNED,
        )
        async with Worker(
            self.client,
            task_queue=queues.SESSIONS,
            workflows=workflows or ROLES["sessions"].workflow_types(),
            activities=self.steps.activities(),
            workflow_runner=SANDBOX,
            deployment_config=config,
            identity=f"{build_id}@{uuid4().hex}",
            sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
        ):
            async with asyncio.timeout(20):
                while not await self._is_known(build_id):  # noqa: ASYNC110 - Temporal tells nobody
                    await asyncio.sleep(0.05)
            yield

    async def promote(self, build_id: str) -> None:
        """Promote a version; refused until Temporal has seen its worker ask for workflows and for steps."""
        async with asyncio.timeout(20):
            while True:
                try:
                    return await self.deployment.promote(build_id)
                except RPCError:
                    await asyncio.sleep(0.1)

    async def _is_known(self, build_id: str) -> bool:
        found = await self.deployment.standing()
        return found is not None and build_id in found.states

    @asynccontextmanager
    async def looked_after(self, build_id: str, **how: str) -> AsyncIterator[VersionKeeper]:
        """A worker with its keeper beside it, as a process has it."""
        keeper = self.keeper(build_id, **how)
        async with self.worker(build_id):
            keeping = asyncio.create_task(keeper.run())
            try:
                await keeper.wait_known()
                yield keeper
            finally:
                keeping.cancel()


@asynccontextmanager
async def versioned_workers(client: Client) -> AsyncIterator[VersionedWorkers]:
    """A deployment of its own, with workers for the steps of faces and of an avatar server."""
    steps = StandInSteps()
    sides = [
        Worker(client, task_queue=queue, activities=steps.activities())
        for queue in (queues.FACES, queues.avatar_queue(BOOT))
    ]
    async with sides[0], sides[1]:
        yield VersionedWorkers(client, steps)


def builds_of(history: WorkflowHistory) -> set[str]:
    """The versions that completed a workflow's tasks."""
    return {
        event.workflow_task_completed_event_attributes.deployment_version.build_id
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    }
