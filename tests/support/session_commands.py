"""Creates and uploads as the API sends them to Temporal."""

from datetime import timedelta
from typing import Any

from temporalio.client import Client, WithStartWorkflowOperation, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from ulid import ULID

from contracts import queues
from contracts.session_workflow import (
    CREATE_UPDATE_ID,
    CreateSessionInput,
    NewPicture,
    RoomAddress,
    SessionOutcome,
    SessionStarted,
    workflow_id,
)
from domain.avatars import AspectRatio
from support.stand_in_steps import stored
from workflows.create_session import CreateSessionWorkflow

Running = WorkflowHandle[CreateSessionWorkflow, SessionOutcome]


def new_session_id() -> str:
    """A fresh session id."""
    return f"sess_{ULID()}"


def staged_picture(owner: str, host: str = "") -> NewPicture:
    """A picture that was staged, or the address of one."""
    prefix = f"staging/{owner}"
    return NewPicture(source=stored(f"{prefix}/source"), staging_prefix=prefix, host=host)


def command(
    session_id: str, *, with_picture: bool = False, picture_host: str = "", **changes: Any
) -> CreateSessionInput:
    """A create by avatar id, with a staged picture, or with one that is to be fetched."""
    picture = staged_picture(session_id, picture_host) if with_picture or picture_host else None
    usual: dict[str, Any] = {
        "session_id": session_id,
        "account_id": "acct_1",
        "avatar_id": "avat_1",
        "aspect_ratio": AspectRatio.LANDSCAPE,
        "room": RoomAddress(platform="livekit", url="ws://room.example:7880", sealed_token="k1.c2VhbGVk"),
        "create_within": timedelta(seconds=20),
        "picture": picture,
    }
    return CreateSessionInput(**{**usual, **changes})


async def create(client: Client, wanted: CreateSessionInput) -> tuple[SessionStarted, Running]:
    """Start or join the create, and wait for its answer; WorkflowUpdateFailedError where it is refused."""
    start = start_operation(wanted)
    started = await client.execute_update_with_start_workflow(
        CreateSessionWorkflow.await_started, start_workflow_operation=start, id=CREATE_UPDATE_ID
    )
    return started, await start.workflow_handle()


def start_operation(
    wanted: CreateSessionInput, *, task_queue: str = queues.SESSIONS
) -> WithStartWorkflowOperation[CreateSessionWorkflow, SessionOutcome]:
    """The start half of an update-with-start."""
    return WithStartWorkflowOperation(
        CreateSessionWorkflow.run,
        wanted,
        id=workflow_id(wanted.session_id),
        task_queue=task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
    )
