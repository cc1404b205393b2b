"""Queue, time limits and attempts of every step: one table, and the two verbs that read it."""

import asyncio
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception
from temporalio.workflow import ActivityCancellationType, ActivityConfig, LocalActivityConfig

with workflow.unsafe.imports_passed_through():
    from contracts import queues, steps
    from contracts.step_options import StepOptions
    from domain.failures import FailureCode

In = TypeVar("In")
Out = TypeVar("Out")

BEAT_WITHIN = timedelta(seconds=5)
"""A picture's or a store's step that says nothing for so long has lost its worker, and is given to another."""

CLOCKS_DIFFER = timedelta(milliseconds=100)
"""The workflow's clock is that of its last task: a local step's own time may be up a little earlier by it."""

LEASED = "leased"
"""Stands in the table for the queue of the server that the session leased; the caller names it."""


def _local(**changes: Any) -> StepOptions:
    return StepOptions(**{"queue": None, "timeout": timedelta(seconds=5), **changes})


def _remote(queue: str, **changes: Any) -> StepOptions:
    return StepOptions(**{"queue": queue, "heartbeat": BEAT_WITHIN, **changes})


OPTIONS: dict[steps.Step[Any, Any], StepOptions] = {
    # Pictures: heavy, so away from the workflows' worker.
    steps.fetch_image: _remote(queues.FACES, timeout=timedelta(seconds=20), first_retry=timedelta(seconds=1)),
    steps.decode_image: _remote(queues.FACES, timeout=timedelta(seconds=15)),
    steps.align_face: _remote(queues.FACES, timeout=timedelta(seconds=20)),
    # Nobody waits for it: it may outlive an outage of a quarter of an hour.
    steps.cut_portraits: _remote(queues.FACES, timeout=timedelta(seconds=20), attempts=100),
    # Nobody waits for it either. Of a renderer that fails it tells in its result: what is tried again is the store.
    steps.prepare_banks: _remote(queues.FACES, timeout=timedelta(minutes=10), attempts=20),
    # The object store: slow enough to be remote, repeatable enough to be tried often.
    steps.store_avatar: _remote(queues.SESSIONS, timeout=timedelta(seconds=20), attempts=5),
    steps.discard_staged: _remote(queues.SESSIONS, timeout=timedelta(seconds=20), attempts=6),
    steps.forget_avatar: _remote(queues.SESSIONS, timeout=timedelta(seconds=20), attempts=10),
    # The database: short, so local; each is one transaction that can be repeated.
    steps.reserve_picture: _local(),
    steps.recognise_picture: _local(),
    steps.register_avatar: _local(),
    steps.add_portraits: _local(),
    steps.keep_banks: _local(),
    # A fresh upload's further portraits follow within a second: 1.5 s of waiting in all.
    steps.resolve_avatar: _local(attempts=5),
    steps.calculate_expiry: _local(),
    steps.admit_session: _local(),
    steps.lease_server: _local(),
    steps.record_avatar: _local(),
    steps.record_started: _local(),
    steps.record_attended: _local(),
    steps.reserve_minutes: _local(),
    steps.record_moved: _local(),
    steps.record_extended: _local(),
    steps.record_ended: _local(),
    steps.look_at_lease: _local(attempts=1),
    # What timers cannot see: looked for again within seconds, so one attempt is enough.
    steps.end_orphans: _remote(queues.SESSIONS, timeout=timedelta(seconds=20), attempts=1),
    steps.release_leftovers: _remote(queues.SESSIONS, timeout=timedelta(seconds=10), attempts=1),
    steps.discard_leftovers: _remote(queues.SESSIONS, timeout=timedelta(seconds=20), attempts=1),
    # Operators' verbs: many sessions each, of which one speaks for a minute before it moves. What failed is told.
    steps.take_out: _local(),
    steps.find_sessions: _local(),
    steps.move_sessions: _remote(queues.SESSIONS, timeout=timedelta(minutes=5), attempts=0),
    steps.end_selected: _remote(queues.SESSIONS, timeout=timedelta(minutes=2), attempts=0),
    # The deletion of an account: it has all the time that it needs, and each step looks anew.
    steps.close_account: _local(attempts=0),
    steps.look_for_work: _remote(queues.SESSIONS, timeout=timedelta(seconds=30), attempts=0),
    steps.erase_objects: _remote(queues.SESSIONS, timeout=timedelta(minutes=5), attempts=0),
    steps.erase_rows: _remote(queues.SESSIONS, timeout=timedelta(seconds=30), attempts=0),
    # Rooms of our own making: LiveKit's server is asked. A client waits for a room, so that is a local step beside the
    # lease; nobody waits for its end, and one that is left over closes by itself.
    steps.make_room: _local(timeout=timedelta(seconds=6)),
    steps.delete_room: _remote(
        queues.SESSIONS, timeout=timedelta(seconds=6), attempts=12, first_retry=timedelta(seconds=1)
    ),
    # Customers' servers: its workflow says how long and how often.
    steps.deliver_webhook: _remote(queues.SESSIONS, timeout=timedelta(seconds=20), attempts=0),
    steps.give_up_webhook: _local(attempts=0),
    # The room: once only, on the leased server. What follows a failure is the workflow's decision, not a retry's.
    steps.join_room: StepOptions(queue=LEASED, timeout=timedelta(seconds=9), attempts=1, pick_up=timedelta(seconds=2)),
    steps.await_quiet: StepOptions(
        queue=LEASED,
        timeout=timedelta(minutes=5),
        attempts=1,
        heartbeat=timedelta(seconds=3),
        pick_up=timedelta(seconds=2),
    ),
    steps.stay_in_room: StepOptions(
        queue=LEASED,
        timeout=timedelta(hours=25),
        attempts=1,
        heartbeat=timedelta(seconds=3),
        pick_up=timedelta(seconds=5),
        cancellation=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    ),
}


def start(
    step: steps.Step[In, Out],
    value: In,
    *,
    summary: str,
    queue: str | None = None,
    within: timedelta | None = None,
    pauses: tuple[timedelta, timedelta] | None = None,
    heartbeat: timedelta | None = None,
) -> workflow.ActivityHandle[Out]:
    """Start a step and return its handle.

    `queue` names the leased server's queue for the steps that need one; `within` bounds all attempts together;
    `pauses` are the first and the longest between attempts, and `heartbeat` is how long a remote step may be silent,
    where the caller knows better than the table.
    """
    options = OPTIONS[step]
    first, longest = pauses or (options.first_retry, None)
    retry = RetryPolicy(initial_interval=first, maximum_interval=longest, maximum_attempts=options.attempts)
    if options.queue is None:
        local: LocalActivityConfig = {
            "start_to_close_timeout": options.timeout,
            "schedule_to_close_timeout": within,
            "retry_policy": retry,
            "summary": summary,
        }
        return workflow.start_local_activity(step.name, value, result_type=step.gives, **local)
    remote: ActivityConfig = {
        "task_queue": queue or options.queue,
        "start_to_close_timeout": options.timeout,
        "schedule_to_start_timeout": options.pick_up,
        "schedule_to_close_timeout": within,
        "heartbeat_timeout": heartbeat or options.heartbeat,
        "cancellation_type": options.cancellation,
        "retry_policy": retry,
        "summary": summary,
    }
    return workflow.start_activity(step.name, value, result_type=step.gives, **remote)


async def perform(
    step: steps.Step[In, Out],
    value: In,
    *,
    summary: str,
    queue: str | None = None,
    within: timedelta | None = None,
    pauses: tuple[timedelta, timedelta] | None = None,
) -> Out:
    """Run a step and wait for its result; `within` is what is left of the caller's time, `pauses` as in `start`.

    However it fails, it fails as an ApplicationError whose type is a FailureCode: a remote step's cause is taken out
    of its ActivityError, and a time-out becomes CREATE_TIMED_OUT where the caller's time is up, else SERVER_LOST on a
    leased server and TEMPORARILY_UNAVAILABLE elsewhere.
    The step's name is its last detail. A cancellation is always asyncio's own, whatever it interrupted.
    """
    until = None if within is None else workflow.now() + within
    try:
        return await start(step, value, summary=summary, queue=queue, within=within, pauses=pauses)
    except (ActivityError, ApplicationError) as error:
        if is_cancelled_exception(error):
            raise asyncio.CancelledError from error
        raise normalised(error, step, late=until is not None and workflow.now() >= until - CLOCKS_DIFFER) from error


def normalised(error: ActivityError | ApplicationError, step: steps.Step[Any, Any], *, late: bool) -> ApplicationError:
    """The failure of a step as an ApplicationError with a FailureCode as its type; `late`: the caller's time is up."""
    cause = error.cause if isinstance(error, ActivityError) else error
    if isinstance(cause, ApplicationError):
        if cause.type in FailureCode.__members__.values():
            return ApplicationError(cause.message, *cause.details, step.name, type=cause.type, non_retryable=True)
        return failure(FailureCode.INTERNAL_ERROR, f"{step.name} failed unexpectedly", stage=step.name)
    if late:
        words = f"the time for this request was up during {step.name}"
        return failure(FailureCode.CREATE_TIMED_OUT, words, stage=step.name)
    if OPTIONS[step].queue == LEASED:
        return failure(FailureCode.SERVER_LOST, "the avatar server did not answer", stage=step.name)
    return failure(FailureCode.TEMPORARILY_UNAVAILABLE, f"{step.name} did not finish in time", stage=step.name)


def failure(code: FailureCode, message: str, *, stage: str = "") -> ApplicationError:
    """A refusal or failure that the workflow itself decides on; `stage` is the step that it came up in."""
    return ApplicationError(message, *([stage] if stage else []), type=code, non_retryable=True)


def stage_of(error: ApplicationError) -> str:
    """The step that a failure of `perform` came up in; empty where the workflow itself said no."""
    return next((one for one in reversed(error.details) if isinstance(one, str)), "")
