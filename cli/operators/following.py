"""An operator's workflow is started, or found where it runs already, and followed. It goes on without its follower."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import CancelledError
from temporalio.service import RPCError, RPCStatusCode

from contracts import queues, search_attributes
from contracts.operations import OperationOutcome, Progress
from domain.failures import FailureCode, Refused
from workflows.delete_account import DeleteAccountWorkflow
from workflows.drain_servers import DrainServersWorkflow
from workflows.end_sessions import EndSessionsWorkflow
from workflows.operation import Operation

LOOK_EVERY_S = 0.5
_WITHIN = timedelta(seconds=5)
TYPES = (DeleteAccountWorkflow, DrainServersWorkflow, EndSessionsWorkflow)
"""Every workflow that is an operator's verb."""

Tell = Callable[[str], None]


class Command(Protocol):
    """What an operator's workflow takes."""

    @property
    def title(self) -> str:
        """What it does, in words."""
        ...

    @property
    def workflow_id(self) -> str:
        """The same for the same work: while it runs, whoever asks again follows it."""
        ...


@dataclass(frozen=True, kw_only=True)
class Order:
    """A workflow that is to be started, and what it would touch."""

    run: Any
    """Its run method."""
    command: Command
    account_id: str = ""
    """Whom it is about; it can then be filtered by that."""
    touches: Mapping[str, Any] = field(default_factory=dict)
    """What a dry run says."""


async def begun(client: Client, order: Order) -> str:
    """Start the workflow of an order, unless it runs already; its id."""
    command = order.command
    about = [SearchAttributePair(search_attributes.ACCOUNT_ID, order.account_id)] if order.account_id else []
    try:
        await client.start_workflow(
            order.run,
            command,
            id=command.workflow_id,
            task_queue=queues.SESSIONS,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            search_attributes=TypedSearchAttributes(about),
            static_summary=command.title,
        )
    except RPCError as error:
        raise Refused(FailureCode.TEMPORARILY_UNAVAILABLE, f"Temporal: {error.status.name}") from error
    return command.workflow_id


async def followed(client: Client, workflow_id: str, tell: Tell) -> OperationOutcome:
    """Tell what the workflow tells until it closes; how it closed. NOT_FOUND where there is none."""
    handle: WorkflowHandle[Any, OperationOutcome]
    handle = client.get_workflow_handle(workflow_id, result_type=OperationOutcome)
    result = asyncio.ensure_future(handle.result())
    told = 0
    try:
        while not (await asyncio.wait([result], timeout=LOOK_EVERY_S))[0]:
            if progress := await _progress(handle):
                told = _pass_on(progress, told, tell)
        outcome = result.result()
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            raise Refused(FailureCode.NOT_FOUND, f"there is no operation {workflow_id}") from error
        raise Refused(FailureCode.TEMPORARILY_UNAVAILABLE, f"Temporal: {error.status.name}") from error
    except WorkflowFailureError as error:
        why = "was stopped" if isinstance(error.cause, CancelledError) else f"failed: {error.cause}"
        raise Refused(FailureCode.CREATE_CANCELLED, f"{workflow_id} {why}") from error
    finally:
        result.cancel()
    _pass_on(outcome.progress, told, tell)
    return outcome


async def listed(client: Client) -> list[tuple[str, str, str]]:
    """Id, state and begin of every operation that Temporal remembers, the newest first."""
    names = ", ".join(f"'{one.__name__}'" for one in TYPES)
    found = client.list_workflows(f"WorkflowType IN ({names})")
    rows = [(one.id, _state(one.status), one.start_time) async for one in found]
    rows.sort(key=lambda row: row[2], reverse=True)
    return [(name, state, f"{at:%Y-%m-%dT%H:%M:%SZ}") for name, state, at in rows]


async def stopped(client: Client, workflow_id: str) -> None:
    """Let an operation go no further. NOT_FOUND where none of this id runs."""
    try:
        await client.get_workflow_handle(workflow_id).cancel()
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            raise Refused(FailureCode.NOT_FOUND, f"no operation {workflow_id} runs") from error
        raise Refused(FailureCode.TEMPORARILY_UNAVAILABLE, f"Temporal: {error.status.name}") from error


def _state(status: WorkflowExecutionStatus | None) -> str:
    return "unknown" if status is None else status.name.lower()


async def _progress(handle: WorkflowHandle[Any, OperationOutcome]) -> Progress | None:
    """How far it is; None while nobody answers: it goes on when a worker is there."""
    try:
        return await handle.query(Operation.progress, rpc_timeout=_WITHIN)
    except (RPCError, WorkflowQueryFailedError):
        return None


def _pass_on(progress: Progress, told: int, tell: Tell) -> int:
    """Tell what was not told yet, as far as it was kept."""
    new = progress.told - told
    for line in progress.lines[-new:] if new > 0 else ():
        tell(line)
    return progress.told
