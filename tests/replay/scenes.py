"""The sessions whose histories are committed: each drives one real workflow, over stand-ins, to one outcome."""

from collections.abc import Awaitable, Callable

from temporalio.client import Client, WorkflowHistory, WorkflowUpdateFailedError

from contracts.session_workflow import EndSession, RoomSeen
from domain.failures import FailureCode
from support.eventually import eventually
from support.session_commands import command, create, new_session_id
from support.stand_in_steps import StandInSteps
from workflows.create_session import CreateSessionWorkflow

Scene = Callable[[Client, StandInSteps], Awaitable[WorkflowHistory]]


async def normal(client: Client, stand_ins: StandInSteps) -> WorkflowHistory:
    """A picture, a session, one person who comes, and an end on request."""
    session_id = new_session_id()
    script = stand_ins.script(session_id)
    _, running = await create(client, command(session_id, with_picture=True))
    await eventually(lambda: {"stay_in_room", "discard_staged"} <= set(script.names))
    await running.signal(CreateSessionWorkflow.report_room, RoomSeen(generation=1, sequence=1, people=1, agents=0))
    await running.execute_update(CreateSessionWorkflow.end, EndSession())
    await running.result()
    return await running.fetch_history()


async def refused_face(client: Client, stand_ins: StandInSteps) -> WorkflowHistory:
    """A picture without a face."""
    session_id = new_session_id()
    stand_ins.script(session_id, refusals={"align_face": FailureCode.NO_FACE})
    try:
        await create(client, command(session_id, with_picture=True))
    except WorkflowUpdateFailedError:
        handle = client.get_workflow_handle(session_id)
        await handle.result()
        return await handle.fetch_history()
    raise AssertionError("the create was not refused")


SCENES: dict[str, Scene] = {"normal": normal, "refused_face": refused_face}
