"""A running session's avatar moves to another server, into the same room under the same identity (rules 8 to 13)."""

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from contracts import steps
    from contracts.portraits import AvatarRef
    from contracts.session_workflow import CreateSessionInput
    from domain.failures import FailureCode
    from domain.session import EndReason
from workflows.presence_watch import PresenceWatch
from workflows.step_options import perform

BETWEEN_TRIES = timedelta(seconds=1)

WHY_NOT_AGAIN = {
    FailureCode.ROOM_TOKEN_REFUSED: EndReason.TOKEN_EXPIRED,
    FailureCode.ROOM_UNREACHABLE: EndReason.ROOM_UNREACHABLE,
    FailureCode.ROOM_ENCRYPTED: EndReason.ROOM_ENCRYPTED,
    FailureCode.ROOM_JOIN_FAILED: EndReason.REMOVED,
}
"""What a session ends as whose room does not take its avatar a second time. The token was good once."""

Join = tuple[steps.Step[steps.JoinRoomInput, steps.JoinRoomResult], steps.JoinRoomInput, str]


def join_order(command: CreateSessionInput, avatar: AvatarRef, lease: steps.LeaseServerResult, generation: int) -> Join:
    """The step that sends a generation of the session's avatar into its room, what it takes, and its summary."""
    wanted = steps.JoinRoomInput(
        session_id=command.session_id,
        generation=generation,
        room=command.room,
        portrait=avatar.portrait(command.aspect_ratio),
    )
    again = "" if generation == 1 else f" again, generation {generation}"
    return steps.join_room, wanted, f"join the {command.room.platform} room from {lease.server}{again}"


async def move(
    command: CreateSessionInput, avatar: AvatarRef, generation: int, settle: timedelta
) -> PresenceWatch | EndReason:
    """The watch over a newer generation whose avatar is visible; the end reason where none could be had in time.

    The next generation's lease fences the one before. A server that fails in the join is left for a further one.
    """
    until = workflow.now() + command.failover_within
    while (left := until - workflow.now()) > timedelta(0):
        try:
            lease = await _next_lease(command.session_id, generation + 1, left)
            generation += 1  # AT_CAPACITY has changed nothing: the number is still free
            step, value, summary = join_order(command, avatar, lease, generation)
            await perform(step, value, summary=summary, queue=lease.queue)
            await _record(command.session_id, generation, lease.server)
            return PresenceWatch(command.session_id, lease, generation, settle)
        except ApplicationError as error:
            code = FailureCode(error.type or FailureCode.INTERNAL_ERROR)
            if code in WHY_NOT_AGAIN:
                return WHY_NOT_AGAIN[code]
            await workflow.sleep(BETWEEN_TRIES, summary=f"no avatar server took over: {code}; try again")
    return EndReason.SERVER_LOST


async def _next_lease(session_id: str, generation: int, within: timedelta) -> steps.LeaseServerResult:
    asked = steps.LeaseServerInput(session_id=session_id, generation=generation)
    summary = f"lease another avatar server, generation {generation}"
    return await perform(steps.lease_server, asked, summary=summary, within=within)


async def _record(session_id: str, generation: int, server: str) -> None:
    moved = steps.RecordMovedInput(session_id=session_id, generation=generation, cause=EndReason.SERVER_LOST)
    await perform(steps.record_moved, moved, summary=f"record that {server} took over")
