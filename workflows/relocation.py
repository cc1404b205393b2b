"""A running session leaves a server that is to be stopped, between two utterances, for another one (drain)."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from contracts import steps
    from contracts.portraits import AvatarRef
    from contracts.session_workflow import CreateSessionInput
    from domain.session import EndReason
from workflows.eviction import EVICTS_NOBODY, wait_until_gone
from workflows.failover import join, move, next_lease
from workflows.presence_watch import PresenceWatch
from workflows.step_options import perform

QUIET_WITHIN = timedelta(seconds=60)
"""How long an avatar may finish what it says before it moves all the same."""


async def relocate(
    command: CreateSessionInput, avatar: AvatarRef, presence: PresenceWatch, settle: timedelta
) -> PresenceWatch | EndReason | None:
    """The watch over the avatar on another server; None where no other has a slot, and then nothing has changed.

    The avatar is gone from the moment of the next lease until the next one has joined. Where that fails the session
    is as one whose server is lost: further servers are tried, and the end reason says why none could be had.
    """
    await _wait_quiet(command.session_id, presence)
    generation = presence.generation + 1
    try:
        lease = await next_lease(command.session_id, generation, command.failover_within)
    except ApplicationError:
        return None
    try:
        if command.room.platform in EVICTS_NOBODY:
            # Shielded, since `leave` takes every cancellation for that of the step: an end must not wait for it.
            gone = await asyncio.shield(asyncio.create_task(presence.leave()))
            await wait_until_gone(command.room.platform, older_may_run=not gone)
        return await join(command, avatar, lease, generation, settle, EndReason.DRAINED)
    except ApplicationError:
        return await move(command, avatar, generation, settle, EndReason.DRAINED, older_may_run=True)


async def _wait_quiet(session_id: str, presence: PresenceWatch) -> None:
    wanted = steps.AwaitQuietInput(session_id=session_id, generation=presence.generation, within=QUIET_WITHIN)
    try:
        await perform(steps.await_quiet, wanted, summary="wait until it has nothing to say", queue=presence.lease.queue)
    except ApplicationError as error:
        workflow.logger.warning("the avatar moves without having been waited for: %s", error)
