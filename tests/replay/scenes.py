"""The sessions whose histories are committed: each drives one real workflow, over stand-ins, to one outcome."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from temporalio.client import Client, WorkflowFailureError, WorkflowHistory, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from contracts import queues, steps
from contracts.erasing import DeleteAccount
from contracts.operations import DrainServers, EndSessions
from contracts.session_workflow import EndSession, ExtendSession, MoveAway, RoomAddress, RoomSeen
from contracts.upload_workflow import UploadFaceInput
from domain.failures import FailureCode
from domain.selections import Selection
from domain.session import EndReason
from support.eventually import eventually
from support.session_commands import Running, command, create, new_session_id, staged_picture
from support.stand_in_steps import BOOT, Handler, Script, StandInSteps
from workflows.create_session import CreateSessionWorkflow
from workflows.delete_account import DeleteAccountWorkflow
from workflows.drain_servers import DrainServersWorkflow
from workflows.end_sessions import EndSessionsWorkflow
from workflows.upload_face import UploadFaceWorkflow

Scene = Callable[[Client, Script, str], Awaitable[None]]


async def normal(client: Client, script: Script, session_id: str) -> None:
    """A picture, a session, one person who comes, and an end on request."""
    _, running = await create(client, command(session_id, with_picture=True))
    await eventually(lambda: {"stay_in_room", "discard_staged"} <= set(script.names))
    await report(running, sequence=1, people=1)
    await end(running)


async def picture_by_address(client: Client, script: Script, session_id: str) -> None:
    """A picture that has to be fetched."""
    _, running = await create(client, command(session_id, picture_host="pictures.example"))
    await eventually(lambda: {"stay_in_room", "discard_staged"} <= set(script.names))
    await end(running)


async def known_picture(client: Client, script: Script, session_id: str) -> None:
    """What was fetched is a picture that the account has sent before."""
    script.known_as = "avat_before"
    await picture_by_address(client, script, session_id)


async def twin_picture(client: Client, script: Script, session_id: str) -> None:
    """The same picture became an avatar elsewhere, while this create was at it."""
    script.twin = "avat_twin"
    _, running = await create(client, command(session_id, with_picture=True))
    await eventually(lambda: {"stay_in_room", "discard_staged"} <= set(script.names))
    await end(running)


async def uploaded(client: Client, _: Script, session_id: str) -> None:
    """An upload of a picture."""
    await upload(client, session_id)


async def upload_refused(client: Client, script: Script, session_id: str) -> None:
    """An upload of a picture without a face."""
    script.refusals["align_face"] = FailureCode.NO_FACE
    await upload(client, session_id)


async def upload_judged(client: Client, _: Script, session_id: str) -> None:
    """A dry run."""
    await upload(client, session_id, dry_run=True)


async def refused_face(client: Client, script: Script, session_id: str) -> None:
    """A picture without a face."""
    script.refusals["align_face"] = FailureCode.NO_FACE
    await refused(client, session_id, with_picture=True)


async def no_capacity(client: Client, script: Script, session_id: str) -> None:
    """No avatar server has a free slot."""
    script.refusals["lease_server"] = FailureCode.AT_CAPACITY
    await refused(client, session_id)


async def picture_not_in_plan(client: Client, script: Script, session_id: str) -> None:
    """A picture on a plan that takes none."""
    script.refusals["admit_session"] = FailureCode.PLAN_REQUIRED
    await refused(client, session_id, with_picture=True)


async def minutes_exhausted(client: Client, script: Script, session_id: str) -> None:
    """Two slices of minutes, and then there is no more."""
    script.slices = [2, 2]
    _, running = await create(client, command(session_id))
    await eventually(lambda: "stay_in_room" in script.names)
    await report(running, sequence=1, people=1)


async def an_hour(client: Client, script: Script, session_id: str) -> None:
    """A picture, somebody who comes, and an hour of minutes until the plan's end; a second stands for ten minutes."""
    script.slices, script.plan_seconds, script.enforced_seconds = [1, 2, 3], 6, 6
    _, running = await create(client, command(session_id, with_picture=True))
    await eventually(lambda: {"stay_in_room", "discard_staged"} <= set(script.names))
    await report(running, sequence=1, people=1)


async def waited_in_line(client: Client, script: Script, session_id: str) -> None:
    """No avatar server has a free slot until the second try."""
    script.handlers["lease_server"] = full_but_for(script, 2)
    _, running = await create(client, command(session_id, wait_up_to=timedelta(seconds=10)))
    await eventually(lambda: "stay_in_room" in script.names)
    await end(running)


async def no_capacity_after_waiting(client: Client, script: Script, session_id: str) -> None:
    """No avatar server has had a free slot for as long as the create wanted to wait."""
    script.refusals["lease_server"] = FailureCode.AT_CAPACITY
    await refused(client, session_id, wait_up_to=timedelta(seconds=0.5))


async def ended_in_line(client: Client, script: Script, session_id: str) -> None:
    """A create is ended while it waits."""
    script.refusals["lease_server"] = FailureCode.AT_CAPACITY
    creating = asyncio.create_task(create(client, command(session_id, wait_up_to=timedelta(seconds=10))))
    await eventually(lambda: "lease_server" in script.names)
    await end(client.get_workflow_handle_for(CreateSessionWorkflow.run, session_id))
    with suppress(WorkflowUpdateFailedError):
        await creating


async def replaced(client: Client, script: Script, session_id: str) -> None:
    """A newer session has taken the lease over: the avatar leaves, and the claim of another server says why."""

    async def ended(_: Any) -> steps.LeaseServerResult:
        details = {"end_reason": EndReason.REPLACED}
        raise ApplicationError("ended", details, type=FailureCode.LEASE_REVOKED, non_retryable=True)

    await create(client, command(session_id))
    await eventually(lambda: "stay_in_room" in script.names)
    script.handlers["lease_server"] = ended
    script.leave_reason = EndReason.SERVER_LOST
    script.leave.set()


async def room_refused(client: Client, script: Script, session_id: str) -> None:
    """The room does not take the token; the picture had been made into an avatar."""
    script.refusals["join_room"] = FailureCode.ROOM_TOKEN_REFUSED
    await refused(client, session_id, with_picture=True)


async def deadline_passed(client: Client, script: Script, session_id: str) -> None:
    """The create's time is up while the avatar joins."""
    script.handlers["join_room"] = for_ever
    await refused(client, session_id, create_within=timedelta(seconds=1))


async def cancelled_in_mid_create(client: Client, script: Script, session_id: str) -> None:
    """The API has given up on a create whose avatar is joining."""
    script.handlers["join_room"] = for_ever
    creating = asyncio.create_task(create(client, command(session_id, with_picture=True)))
    await eventually(lambda: "join_room" in script.names)
    await client.get_workflow_handle(session_id).cancel()
    with suppress(WorkflowUpdateFailedError):
        await creating


async def expired(client: Client, script: Script, session_id: str) -> None:
    """The plan's time is up."""
    script.plan_seconds = script.enforced_seconds = 1
    await create(client, command(session_id))


async def nobody_joined(client: Client, script: Script, session_id: str) -> None:
    """An agent waited in vain."""
    await create(client, command(session_id, nobody_joined_after=timedelta(seconds=1)))
    await eventually(lambda: "stay_in_room" in script.names)


async def participants_left(client: Client, script: Script, session_id: str) -> None:
    """Somebody came and went."""
    _, running = await create(client, command(session_id, participants_left_after=timedelta(seconds=1)))
    await eventually(lambda: "stay_in_room" in script.names)
    for sequence, people in ((1, 1), (2, 0)):
        await report(running, sequence=sequence, people=people)


async def agent_left(client: Client, script: Script, session_id: str) -> None:
    """The agent that the avatar speaks for came and went; somebody is still there."""
    _, running = await create(client, command(session_id, agent_left_after=timedelta(seconds=1)))
    await eventually(lambda: "stay_in_room" in script.names)
    for sequence, there in ((1, True), (2, False)):
        await report(running, sequence=sequence, people=1, agent_there=there)


async def reattached(client: Client, script: Script, session_id: str) -> None:
    """The heartbeat stops, the lease is renewed all the same: the session goes on."""
    script.handlers["stay_in_room"] = for_ever
    _, running = await create(client, command(session_id))
    await eventually(lambda: "stay_in_room" in script.names)
    del script.handlers["stay_in_room"]
    await eventually(lambda: script.names.count("stay_in_room") == 2)
    await end(running)


async def server_lost(client: Client, script: Script, session_id: str) -> None:
    """The heartbeat stops, and so do the renewals; no other server has a slot."""
    script.handlers["stay_in_room"] = for_ever
    script.server_alive = False
    await create(client, command(session_id, failover_within=timedelta(milliseconds=100)))
    await eventually(lambda: "stay_in_room" in script.names)
    script.refusals["lease_server"] = FailureCode.AT_CAPACITY


async def failed_over(client: Client, script: Script, session_id: str) -> None:
    """The server's media process died; another generation joins, and the session goes on until its end."""

    async def gone(_: Any) -> steps.StayInRoomResult:
        del script.handlers["stay_in_room"]
        raise ApplicationError("gone", type=FailureCode.SERVER_LOST, non_retryable=True)

    script.handlers["stay_in_room"] = gone
    _, running = await create(client, command(session_id))
    await eventually(lambda: script.names.count("stay_in_room") == 2)
    await end(running)


async def managed_room(client: Client, script: Script, session_id: str) -> None:
    """The session's room is made for it, and deleted with it."""
    made = RoomAddress(
        platform="proxy", url="ws://livekit:7880", sealed_token="k1.c2VhbGVk", managed_name="greenroom-1"
    )
    _, running = await create(client, command(session_id, room=made))
    await eventually(lambda: "stay_in_room" in script.names)
    await end(running)


async def identity_taken(client: Client, script: Script, session_id: str) -> None:
    """A server was given up without a word, woke up and took the identity; the next time somebody does, that is it."""
    stays = iter(["silent", "identity_taken", "identity_taken"])

    async def stay(_: Any) -> steps.StayInRoomResult:
        if (what := next(stays)) == "silent":
            await asyncio.sleep(60)
        return steps.StayInRoomResult(reason=what, served_ms=0)

    script.handlers["stay_in_room"] = stay
    script.server_alive = False
    await create(client, command(session_id))


async def drained(client: Client, script: Script, session_id: str) -> None:
    """A server is to be stopped: the session moves to another, and is ended when that is to be stopped too."""
    _, running = await create(client, command(session_id))
    await eventually(lambda: "stay_in_room" in script.names)
    script.boot_id = "another"
    await running.execute_update(CreateSessionWorkflow.move_away, MoveAway(boot_id=BOOT))
    await eventually(lambda: script.left and script.names.count("stay_in_room") == 2)
    await settled(running)
    script.refusals["lease_server"] = FailureCode.AT_CAPACITY
    await running.execute_update(CreateSessionWorkflow.move_away, MoveAway(boot_id="another"))
    await running.execute_update(CreateSessionWorkflow.end, EndSession(reason=EndReason.DRAINED))


async def extended(client: Client, script: Script, session_id: str) -> None:
    """The client asks for more time, and for more than there is."""
    script.plan_seconds = script.enforced_seconds = 1
    _, running = await create(client, command(session_id))
    await eventually(lambda: "stay_in_room" in script.names)
    await running.execute_update(CreateSessionWorkflow.extend, ExtendSession(seconds=1))
    script.refusals["record_extended"] = FailureCode.EXTENSION_LIMIT_REACHED
    with suppress(WorkflowUpdateFailedError):
        await running.execute_update(CreateSessionWorkflow.extend, ExtendSession(seconds=1))


async def servers_drained(client: Client, script: Script, name: str) -> None:
    """Thirty sessions in two batches, of which one finds a server only in the second round."""
    script.chosen = [f"sess_{number:02}" for number in range(30)]
    script.stubborn = {"sess_07"}
    wanted = DrainServers(boots=("boot",), name="avatar-1", wait=True)
    await client.start_workflow(DrainServersWorkflow.run, wanted, id=name, task_queue=queues.SESSIONS)


async def servers_waited_out(client: Client, script: Script, name: str) -> None:
    """A version whose session is left alone, and ends by itself."""
    script.chosen = ["sess_1"]
    wanted = DrainServers(version="1.2", move=False, wait=True)
    await client.start_workflow(DrainServersWorkflow.run, wanted, id=name, task_queue=queues.SESSIONS)
    await eventually(lambda: "take_out" in script.names)
    script.dealt_with = ["sess_1"]


async def sessions_ended(client: Client, script: Script, name: str) -> None:
    """Those of an account, of which one is ended only by the second pass."""
    script.chosen = [f"sess_{number:02}" for number in range(30)]
    script.stubborn = {"sess_29"}
    wanted = EndSessions(selection=Selection(account_id="acct_1"))
    await client.start_workflow(EndSessionsWorkflow.run, wanted, id=name, task_queue=queues.SESSIONS)


async def account_deleted(client: Client, script: Script, name: str) -> None:
    """An account with a session and pictures, that somebody still works for when it is looked at first."""
    script.chosen = ["sess_1"]
    wanted = DeleteAccount(account_id="acct_1", receipt_id="rcpt_1")
    await client.start_workflow(DeleteAccountWorkflow.run, wanted, id=name, task_queue=queues.SESSIONS)


SCENES: dict[str, Scene] = {
    scene.__name__: scene
    for scene in (
        normal,
        picture_by_address,
        known_picture,
        twin_picture,
        uploaded,
        upload_refused,
        upload_judged,
        refused_face,
        no_capacity,
        picture_not_in_plan,
        minutes_exhausted,
        an_hour,
        waited_in_line,
        no_capacity_after_waiting,
        ended_in_line,
        replaced,
        room_refused,
        deadline_passed,
        cancelled_in_mid_create,
        expired,
        nobody_joined,
        participants_left,
        agent_left,
        reattached,
        server_lost,
        failed_over,
        managed_room,
        identity_taken,
        drained,
        extended,
        servers_drained,
        servers_waited_out,
        sessions_ended,
        account_deleted,
    )
}


def full_but_for(script: Script, number: int) -> Handler:
    """A lease that is refused until the try of this number."""

    async def lease(_: Any) -> steps.LeaseServerResult:
        if script.names.count("lease_server") < number:
            raise ApplicationError("full", type=FailureCode.AT_CAPACITY, non_retryable=True)
        return steps.LeaseServerResult(boot_id=BOOT, server="stand-in-1", queue=queues.avatar_queue(BOOT))

    return lease


async def play(name: str, client: Client, stand_ins: StandInSteps) -> WorkflowHistory:
    """Play a scene to its end; the history of its workflow."""
    session_id = new_session_id()
    await SCENES[name](client, stand_ins.script(session_id), session_id)
    handle = client.get_workflow_handle(session_id)
    async with asyncio.timeout(20):
        with suppress(WorkflowFailureError):
            await handle.result()
    return await handle.fetch_history()


async def report(running: Running, *, sequence: int, people: int, agent_there: bool | None = None) -> None:
    """Tell who is in the room, and wait until the workflow has dealt with it: what follows must not share its task."""
    seen = RoomSeen(generation=1, sequence=sequence, people=people, agents=0, agent_there=agent_there)
    await running.signal(CreateSessionWorkflow.report_room, seen)
    await settled(running)


async def settled(running: Running) -> None:
    """Wait until the workflow has dealt with everything."""
    async with asyncio.timeout(10):
        while (await running.describe()).raw_description.HasField("pending_workflow_task"):  # noqa: ASYNC110 - Temporal tells nobody
            await asyncio.sleep(0.05)


async def end(running: Running) -> None:
    """End on request."""
    await running.execute_update(CreateSessionWorkflow.end, EndSession())


async def upload(client: Client, workflow_id: str, *, dry_run: bool = False) -> None:
    """One upload, whose workflow is called as a session's would be."""
    wanted = UploadFaceInput(
        account_id="acct_1",
        avatar_id="avat_1",
        picture=staged_picture(workflow_id),
        finish_within=timedelta(seconds=20),
        dry_run=dry_run,
    )
    await client.start_workflow(UploadFaceWorkflow.run, wanted, id=workflow_id, task_queue=queues.SESSIONS)


async def refused(client: Client, session_id: str, **changes: Any) -> None:
    """A create that must fail."""
    try:
        await create(client, command(session_id, **changes))
    except WorkflowUpdateFailedError:
        return
    raise AssertionError("the create was not refused")


async def for_ever(_: Any) -> steps.Done:
    """A step that does not answer, and does not beat."""
    await asyncio.sleep(60)
    raise AssertionError
