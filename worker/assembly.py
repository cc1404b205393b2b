"""Puts a role's worker together from settings, and runs it until it is told to stop."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import Any, Protocol, cast

from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import Interceptor, Worker, WorkerDeploymentConfig

from runtime.build import worker_version
from runtime.deployments import Deployment
from runtime.settings import Settings
from runtime.temporal_client import connect
from worker import registry
from worker.sandbox import SANDBOX
from worker.step_watch import StepWatch
from worker.versions import VersionKeeper

log = logging.getLogger(__name__)

GRACEFUL_SHUTDOWN = timedelta(seconds=5)
"""What steps under way have to finish after a stop; without it they are cancelled at once."""
HEARTBEAT_THROTTLE = timedelta(seconds=1)
"""A cancellation reaches a step with its next heartbeat."""
STICKY_WITHIN = timedelta(seconds=2)
"""How long a task waits for the worker that knew its workflow. With the SDK's 10 s an end after a kill -9 is a 503."""
RETRY_CONNECT_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What a role opened: its queue, the instances whose methods are its activities, and what must go before them."""

    queue: str
    activities: tuple[object, ...]
    until_stopped: Callable[[], Awaitable[None]] | None = None
    """Runs beside the worker; its return stops the worker."""
    interceptors: tuple[Interceptor, ...] = ()
    steps_at_once: int = 100
    """Each session's stay on an avatar server is one that lasts as long as the session."""
    cached_workflows: int = 1000
    """Of those that run; each more is replayed with its next task."""


class Assembly(Protocol):
    """A module of `worker/roles`."""

    async def open_role(
        self, settings: Settings, environ: Mapping[str, str], client: Client, stack: AsyncExitStack
    ) -> Opened:
        """Open what the role needs; what is pushed on `stack` is closed when the worker has stopped."""
        ...


def build_worker(
    client: Client, role: registry.Role, opened: Opened, version: WorkerDeploymentVersion | None = None
) -> Worker:
    """A worker for the role's queue; the instances must be those that the registry names.

    With a version, each workflow stays on the version that its first task ran on, unless its starter wanted otherwise.
    """
    expected = role.activity_types()
    found = [type(one) for one in opened.activities]
    if found != expected:
        raise TypeError(f"the role opened {found}, the registry names {expected}")
    return Worker(
        client,
        task_queue=opened.queue,
        workflows=role.workflow_types(),
        activities=registry.methods(opened.activities),
        workflow_runner=SANDBOX,
        interceptors=(StepWatch(), *opened.interceptors),
        max_concurrent_activities=opened.steps_at_once,
        max_cached_workflows=opened.cached_workflows,
        sticky_queue_schedule_to_start_timeout=STICKY_WITHIN,
        graceful_shutdown_timeout=GRACEFUL_SHUTDOWN,
        max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        default_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        deployment_config=_pinned(version) if version else None,
    )


def _pinned(version: WorkerDeploymentVersion) -> WorkerDeploymentConfig:
    # As the worker's default, not at the workflows: a class that says it fails in every worker without versions.
    return WorkerDeploymentConfig(
        version=version, use_worker_versioning=True, default_versioning_behavior=VersioningBehavior.PINNED
    )


async def run_role(
    name: str, settings: Settings, environ: Mapping[str, str], stop: asyncio.Event, ready: Callable[[], None]
) -> None:
    """Serve a role until `stop` is set; `ready` is called once its worker polls."""
    role = registry.ROLES[name]
    assembly = cast("Assembly", import_module(role.assembly))
    async with AsyncExitStack() as stack:
        client = await _connected(environ, stop)
        if client is None:
            return
        opened = await assembly.open_role(settings, environ, client, stack)
        if not role.workflows:  # it does steps for every version
            async with build_worker(client, role, opened):
                ready()
                await _until(stop, opened.until_stopped)
            return
        version = worker_version(settings)
        keeper = VersionKeeper(Deployment(client, version.deployment_name), client, version.build_id, settings.promote)
        async with build_worker(client, role, opened, version):
            keeping = asyncio.create_task(keeper.run())
            stack.callback(keeping.cancel)
            await keeper.wait_known()
            ready()
            await _until(stop, opened.until_stopped)
            keeping.cancel()


async def _connected(environ: Mapping[str, str], stop: asyncio.Event) -> Client | None:
    """A connected client, however long Temporal is away; None if the process is to stop meanwhile."""
    told = ""
    while not stop.is_set():
        try:
            return await connect(environ)
        except RuntimeError as error:
            if str(error) != told:  # wrong TLS or a wrong key, say: nobody else would ever say so
                told = str(error)
                log.warning("Temporal cannot be reached; `greenroom doctor` says what helps: %s", told)
            await asyncio.sleep(RETRY_CONNECT_S)
    return None


async def _until(stop: asyncio.Event, beside: Callable[[], Awaitable[None]] | None) -> None:
    """Wait for the stop, or for what runs beside the worker to end."""
    waiting: list[asyncio.Future[Any]] = [asyncio.ensure_future(stop.wait())]
    if beside is not None:
        waiting.append(asyncio.ensure_future(beside()))
    try:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
