"""A running session's avatar moves to another server, into the same room under the same identity (rules 8 to 13)."""

from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from contracts import steps
    from contracts.portraits import AvatarRef
    from contracts.session_workflow import CreateSessionInput
    from domain.failures import FailureCode
    from domain.session import EndReason
from workflows.eviction import hold_back, wait_until_gone
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


def follows(reason: str, *, older_may_run: bool) -> bool:
    """Is the avatar to be sent again, by another generation, after the present one is over for a reason?

    Where an older generation was given up without a word, it may have woken up and taken the identity: then the room
    belongs to the newer one, which goes in again, once (design rule 10).
    """
    return reason == EndReason.SERVER_LOST or (reason == EndReason.IDENTITY_TAKEN and older_may_run)


async def move(
    command: CreateSessionInput,
    avatar: AvatarRef,
    generation: int,
    settle: timedelta,
    cause: EndReason,
    *,
    older_may_run: bool,
) -> PresenceWatch | EndReason:
    """The watch over a newer generation whose avatar is visible; the end reason where none could be had in time.

    The next generation's lease fences the one before. A server that fails in the join is left for a further one.
    `cause` is what happened to the one before, for the audit trail; `older_may_run`: may it still be in the room?
    """
    platform = command.room.platform
    until = workflow.now() + command.failover_within + hold_back(platform, older_may_run=older_may_run)
    while (left := until - workflow.now()) > timedelta(0):
        try:
            lease = await next_lease(command.session_id, generation + 1, left)
            generation += 1  # AT_CAPACITY has changed nothing: the number is still free
            await wait_until_gone(platform, older_may_run=older_may_run)
            older_may_run = True  # where the join fails, its avatar may be there all the same
            return await join(command, avatar, lease, generation, settle, cause)
        except ApplicationError as error:
            code = FailureCode(error.type or FailureCode.INTERNAL_ERROR)
            if code in WHY_NOT_AGAIN:
                return WHY_NOT_AGAIN[code]
            if over := recorded_end(error):
                return over  # as by a newer session that took its place
            await workflow.sleep(BETWEEN_TRIES, summary=f"no avatar server took over: {code}; try again")
    return EndReason.SERVER_LOST


def recorded_end(error: ApplicationError) -> EndReason | None:
    """What a session has ended as, if that is why a claim was refused."""
    details = error.details[0] if error.details else None
    if error.type == FailureCode.LEASE_REVOKED and isinstance(details, dict):
        with suppress(ValueError):
            return EndReason(str(details.get("end_reason")))
    return None


async def join(
    command: CreateSessionInput,
    avatar: AvatarRef,
    lease: steps.LeaseServerResult,
    generation: int,
    settle: timedelta,
    cause: EndReason,
) -> PresenceWatch:
    """The watch over a generation that has a lease and goes into the room now."""
    step, value, summary = join_order(command, avatar, lease, generation)
    await perform(step, value, summary=summary, queue=lease.queue)
    moved = steps.RecordMovedInput(session_id=command.session_id, generation=generation, cause=cause)
    await perform(steps.record_moved, moved, summary=f"record that {lease.server} took over: {cause}")
    return PresenceWatch(command.session_id, lease, generation, settle, command.heartbeat_within)


async def next_lease(session_id: str, generation: int, within: timedelta) -> steps.LeaseServerResult:
    """A slot for the next generation, which fences the one before; AT_CAPACITY has changed nothing."""
    asked = steps.LeaseServerInput(session_id=session_id, generation=generation)
    summary = f"lease another avatar server, generation {generation}"
    return await perform(steps.lease_server, asked, summary=summary, within=within)
