"""The versions of our sessions workers, as Temporal knows them: seen, promoted, ramped; it decides nothing."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.deployment.v1 import WorkerDeploymentInfo, WorkerDeploymentVersion
from temporalio.api.enums.v1 import TaskQueueType, WorkerDeploymentVersionStatus
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflow.v1 import VersioningOverride, WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    DescribeTaskQueueRequest,
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
    SetWorkerDeploymentRampingVersionRequest,
    UpdateWorkflowExecutionOptionsRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from contracts import queues
from runtime.workflow_lists import OPEN, listed

STATES = {
    WorkerDeploymentVersionStatus.WORKER_DEPLOYMENT_VERSION_STATUS_INACTIVE: "inactive",
    WorkerDeploymentVersionStatus.WORKER_DEPLOYMENT_VERSION_STATUS_CURRENT: "current",
    WorkerDeploymentVersionStatus.WORKER_DEPLOYMENT_VERSION_STATUS_RAMPING: "ramping",
    WorkerDeploymentVersionStatus.WORKER_DEPLOYMENT_VERSION_STATUS_DRAINING: "draining",
    WorkerDeploymentVersionStatus.WORKER_DEPLOYMENT_VERSION_STATUS_DRAINED: "drained",
}
POLL_RENEWED_WITHIN = timedelta(seconds=75)
"""A worker asks anew after a minute at the latest, so one that was not seen for longer is gone."""


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of the sessions workers."""

    build_id: str
    state: str
    """inactive (never took sessions), current, ramping, draining (has open sessions), or drained."""
    percent: float
    """Of the new sessions; 0 but for the current and the ramping version."""
    since: datetime
    """When Temporal first saw it."""
    sessions: int
    """Workflows that run on it and stay there, uploads among them."""
    workers: int
    """Workers that asked for work in the last 75 s."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Who takes new sessions."""

    current: str
    """Build id; empty where no version does."""
    ramping: str
    percent: float
    states: dict[str, str]
    """The state of each build id."""
    since: dict[str, datetime] = field(default_factory=dict)
    token: bytes = b""
    """Refuses a change by whoever read before somebody else changed."""


class Deployment:
    """An operator's hands on the versions of one deployment name. RPCError where Temporal refuses or is away."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._name = name

    async def standing(self) -> Standing | None:
        """Who takes new sessions; None where no versioned worker ever asked for work."""
        asked = DescribeWorkerDeploymentRequest(namespace=self._client.namespace, deployment_name=self._name)
        try:
            answer = await self._client.workflow_service.describe_worker_deployment(asked)
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                return None
            raise
        return _standing(answer.worker_deployment_info, answer.conflict_token)

    async def versions(self) -> list[Version]:
        """Every version that Temporal knows, the newest first."""
        found = await self.standing()
        if found is None:
            return []
        workers = await self.workers()
        builds = sorted(found.states, key=lambda build: found.since[build], reverse=True)
        sessions = await asyncio.gather(*(self.sessions(build) for build in builds))
        return [
            Version(
                build_id=build,
                state=found.states[build],
                percent=_share(found, build),
                since=found.since[build],
                sessions=number,
                workers=workers.get(build, 0),
            )
            for build, number in zip(builds, sessions, strict=True)
        ]

    async def promote(self, build_id: str, token: bytes = b"") -> None:
        """Give a version all new sessions; NOT_FOUND where no worker of it ever asked, and no ramp stays."""
        await self._client.workflow_service.set_worker_deployment_current_version(
            SetWorkerDeploymentCurrentVersionRequest(
                namespace=self._client.namespace, deployment_name=self._name, build_id=build_id, conflict_token=token
            )
        )

    async def ramp(self, build_id: str, percent: float) -> None:
        """Give a version a part of the new sessions, chosen by their ids; 0 ends the ramp."""
        await self._client.workflow_service.set_worker_deployment_ramping_version(
            SetWorkerDeploymentRampingVersionRequest(
                namespace=self._client.namespace,
                deployment_name=self._name,
                build_id=build_id if percent else "",
                percentage=percent,
            )
        )

    async def workers(self) -> dict[str, int]:
        """How many workers of each version asked for work lately."""
        seen: dict[str, set[str]] = {}
        late = datetime.now(UTC) - POLL_RENEWED_WITHIN
        for kind in (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY):
            answer = await self._client.workflow_service.describe_task_queue(
                DescribeTaskQueueRequest(
                    namespace=self._client.namespace, task_queue=TaskQueue(name=queues.SESSIONS), task_queue_type=kind
                )
            )
            for poller in answer.pollers:
                of = poller.deployment_options
                if of.deployment_name == self._name and poller.last_access_time.ToDatetime(UTC) > late:
                    seen.setdefault(of.build_id, set()).add(poller.identity)
        return {build: len(identities) for build, identities in seen.items()}

    async def sessions(self, build_id: str) -> int:
        """How many workflows run on a version."""
        answer = await self._client.workflow_service.count_workflow_executions(
            CountWorkflowExecutionsRequest(namespace=self._client.namespace, query=self._open(build_id))
        )
        return answer.count

    async def open_sessions(self, build_id: str) -> AsyncIterator[str]:
        """The ids of the workflows that run on a version."""
        async for found in listed(self._client, self._open(build_id)):
            yield found.workflow_id

    async def move(self, workflow_id: str, build_id: str) -> None:
        """Let a running workflow go on on another version, whose code must replay its history."""
        onto = VersioningOverride.PinnedOverride(
            behavior=VersioningOverride.PINNED_OVERRIDE_BEHAVIOR_PINNED,
            version=WorkerDeploymentVersion(deployment_name=self._name, build_id=build_id),
        )
        wanted = UpdateWorkflowExecutionOptionsRequest(
            namespace=self._client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id),
            workflow_execution_options=WorkflowExecutionOptions(versioning_override=VersioningOverride(pinned=onto)),
        )
        wanted.update_mask.paths.append("versioning_override")
        await self._client.workflow_service.update_workflow_execution_options(wanted)

    def _open(self, build_id: str) -> str:
        return f'TemporalWorkerDeploymentVersion = "{self._name}:{build_id}" AND {OPEN}'


def _standing(info: WorkerDeploymentInfo, token: bytes) -> Standing:
    routing = info.routing_config
    return Standing(
        current=routing.current_deployment_version.build_id,
        ramping=routing.ramping_deployment_version.build_id,
        percent=routing.ramping_version_percentage,
        states={one.deployment_version.build_id: STATES.get(one.status, "unknown") for one in info.version_summaries},
        since={one.deployment_version.build_id: one.create_time.ToDatetime(UTC) for one in info.version_summaries},
        token=token,
    )


def _share(found: Standing, build_id: str) -> float:
    if build_id == found.ramping:
        return found.percent
    return 100.0 - found.percent if build_id == found.current else 0.0
