"""Sees to it that Temporal starts the reconciler again and again; whichever worker comes first makes the Schedule."""

import asyncio
import logging
from datetime import timedelta
from enum import Enum

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from contracts import queues
from contracts.reconciling import EVERY, SCHEDULE_ID

log = logging.getLogger(__name__)

AGAIN_S = 2.0
RUN_WITHIN = timedelta(minutes=2)
"""No run takes so long; without a worker the next ones would wait behind it."""


async def keep_schedule(client: Client, every: timedelta = EVERY) -> None:
    """Make the Schedule, or bring one that is there up to date; however long Temporal is away."""
    while True:
        try:
            await make_schedule(client, every)
        except (RPCError, RuntimeError) as error:  # a server that is away, or does not know of Schedules yet
            log.warning("the reconciler's Schedule could not be made yet: %s", error)
            await asyncio.sleep(AGAIN_S)
        else:
            return


class ScheduleState(Enum):
    """What Temporal knows of the reconciler."""

    MISSING = "missing"
    OTHER = "of another version"
    CURRENT = "as it should be"


async def state_of(client: Client, every: timedelta = EVERY) -> ScheduleState:
    """Is the Schedule there, and is it this version's? Whether it is paused does not count. RPCError."""
    try:
        found = (await client.get_schedule_handle(SCHEDULE_ID).describe()).schedule
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return ScheduleState.MISSING
        raise
    return ScheduleState.CURRENT if _about(found) == _about(schedule(every)) else ScheduleState.OTHER


def _about(one: Schedule) -> tuple[object, ...]:
    """What makes one Schedule do what another does; its summary comes back as a payload, which may be encrypted."""
    action = one.action
    assert isinstance(action, ScheduleActionStartWorkflow)  # noqa: S101 - Temporal has no other kind
    what = (action.workflow, action.id, action.task_queue, action.execution_timeout)
    return (*what, [(each.every, each.offset) for each in one.spec.intervals], one.policy)


async def make_schedule(client: Client, every: timedelta = EVERY) -> None:
    """Make the Schedule, or bring one that is there up to date. RPCError."""
    wanted = schedule(every)
    try:
        await client.create_schedule(SCHEDULE_ID, wanted)
    except ScheduleAlreadyRunningError:

        async def renewed(found: ScheduleUpdateInput) -> ScheduleUpdate:
            # Whether an operator has paused it stays as it is.
            wanted.state = found.description.schedule.state
            return ScheduleUpdate(wanted)

        await client.get_schedule_handle(SCHEDULE_ID).update(renewed)


def schedule(every: timedelta) -> Schedule:
    """One run at a time; one that was missed while Temporal was away is not made up for."""
    return Schedule(
        action=ScheduleActionStartWorkflow(
            "ReconcileWorkflow",
            id=SCHEDULE_ID,
            task_queue=queues.SESSIONS,
            execution_timeout=RUN_WITHIN,
            static_summary="look for what timers cannot see",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(seconds=10)),
    )
