"""Calls to Temporal that end when they should: bounded, and cancelled when nobody waits for their result any more."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.client import (
    Client,
    RPCTimeoutOrCancelledError,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
    WorkflowUpdateHandle,
    WorkflowUpdateStage,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.workflow import UpdateMethodMultiParam

from domain.failures import FailureCode, Refused, Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")
W = TypeVar("W")

AWAY = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.FAILED_PRECONDITION,  # an operator has paused the workflow: it answers when it goes on
    }
)

TASK_WITHIN = timedelta(seconds=3)
"""A workflow's task that a dead worker took with it is given to another after this time; the default is 10 s."""

GRACE_S = 2.0
"""How much longer than a request's own time its answer is waited for: the workflow should be the one to say no."""
AT_ONCE = 8
"""Starts that one API process has under way. More are not done sooner: Temporal would answer all of them too late."""
TURN_SHARE = 0.5
"""The part of a request's own time that it may wait for its turn."""
GIVE_UP_AFTER_S = 600.0
"""How long a cancellation is tried again while Temporal is away."""
MAY_STILL_APPEAR_S = 30.0
"""How long a workflow that Temporal does not know yet may still be started by a request that is under way."""


class TooLong(Exception):
    """The call's time was up."""


async def bounded(call: Coroutine[Any, Any, T], seconds: float) -> T:
    """The call's result; TooLong when its time is up, Unavailable when Temporal is away.

    A task is waited for, not a time-out around the call: the SDK turns a cancellation into an error of its own, so
    that `asyncio.timeout` would never see it, and its own time limits do not hold while the server is down.
    """
    task = asyncio.create_task(call)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        _drop(task)
        raise
    if not done:
        _drop(task)
        raise TooLong
    try:
        return task.result()
    except RPCError as error:
        if error.status in AWAY:
            raise Unavailable(f"Temporal: {error.status.name}") from error
        raise
    except RPCTimeoutOrCancelledError as error:  # what the SDK makes of two of these in calls about updates
        raise Unavailable("Temporal: no answer") from error
    except RuntimeError as error:  # what a lazy client raises when its first connection fails
        raise Unavailable("Temporal: no connection") from error


def _drop(task: "asyncio.Task[Any]") -> None:
    """Cancel a task whose outcome nobody reads, without a warning about it."""
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    task.cancel()


def refusal_of(cause: BaseException | None) -> Refused:
    """The refusal that a workflow raised or returned, by its code, with the step that it came up in."""
    if not isinstance(cause, ApplicationError):
        return Refused(FailureCode.CREATE_CANCELLED, "the request was cancelled")
    try:
        code = FailureCode(cause.type or "")
    except ValueError:
        log.exception("a workflow failed with an unknown code: %s", cause.type)
        return Refused(FailureCode.INTERNAL_ERROR, "something went wrong on our side")
    details = cause.details[0] if cause.details and isinstance(cause.details[0], dict) else None
    refusal = Refused(code, cause.message, details=details)
    refusal.stage = next((one for one in cause.details if isinstance(one, str)), "")
    return refusal


class Canceller:
    """Cancels workflows in the background until Temporal has taken it (design rule 2)."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._tasks: set[asyncio.Task[None]] = set()

    def cancel(self, workflow_id: str) -> None:
        """See to it that the workflow is cancelled, also if it is started only after this call."""
        task = asyncio.create_task(self._cancel(workflow_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Stop trying."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _cancel(self, workflow_id: str) -> None:
        loop = asyncio.get_running_loop()
        began, pause = loop.time(), 0.25
        while loop.time() - began < GIVE_UP_AFTER_S:
            try:
                await bounded(self._client.get_workflow_handle(workflow_id).cancel(), 5)
            except (TooLong, Unavailable):
                pass
            except RPCError as error:
                if error.status != RPCStatusCode.NOT_FOUND or loop.time() - began > MAY_STILL_APPEAR_S:
                    return
            else:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5)
        log.error("workflow %s could not be cancelled", workflow_id)


class Starter:
    """Starts a workflow by update-with-start and waits for its answer: a repeat meets the same workflow and answer."""

    def __init__(self, client: Client, canceller: Canceller, wait_s: float) -> None:
        self._client = client
        self._canceller = canceller
        self._wait_s = wait_s
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._refused_at = float("-inf")
        """When Temporal last did not take a start, unless it has taken one since."""

    async def answer(
        self,
        start: WithStartWorkflowOperation[W, Any],
        update: UpdateMethodMultiParam[[W], T],
        *,
        workflow_id: str,
        update_id: str,
        within: timedelta,
    ) -> T:
        """The update's answer, or the refusal that the workflow raised.

        CREATE_TIMED_OUT when its time is up; Unavailable if its turn does not come, if Temporal does not take the start
        in time, or goes away. Whenever the answer is given up, the workflow is cancelled.
        """
        seconds, began = within.total_seconds(), time.monotonic()
        async with self._turn(seconds * TURN_SHARE):
            handle = await self._accepted(start, update, workflow_id=workflow_id, update_id=update_id)
        left_s = seconds + GRACE_S - (time.monotonic() - began)
        try:
            return await bounded(handle.result(), left_s)
        except WorkflowUpdateFailedError as error:
            raise refusal_of(error.cause) from error
        except TooLong:
            self._canceller.cancel(workflow_id)
            raise Refused(FailureCode.CREATE_TIMED_OUT, "the request could not be fulfilled in time") from None
        except Unavailable:
            self._canceller.cancel(workflow_id)
            raise

    @asynccontextmanager
    async def _turn(self, within_s: float) -> AsyncIterator[None]:
        """Wait for one of the few turns, in the order of the requests; what never began needs no undoing.

        Who waits while Temporal stops to take starts is told so with the first of them: all would be too late.
        """
        began = time.monotonic()
        try:
            await asyncio.wait_for(self._turns.acquire(), within_s)
        except TimeoutError:
            raise Unavailable("too many requests are being started at once") from None
        try:
            if self._refused_at > began:
                raise Unavailable("Temporal takes no requests")
            yield
        finally:
            self._turns.release()

    async def _accepted(
        self,
        start: WithStartWorkflowOperation[W, Any],
        update: UpdateMethodMultiParam[[W], T],
        *,
        workflow_id: str,
        update_id: str,
    ) -> WorkflowUpdateHandle[T]:
        """The update that Temporal has taken."""
        accepted = self._client.start_update_with_start_workflow(
            update,
            start_workflow_operation=start,
            id=update_id,
            wait_for_stage=WorkflowUpdateStage.ACCEPTED,
        )
        try:
            handle = await bounded(accepted, self._wait_s)
            self._refused_at = float("-inf")
            return handle
        except (TooLong, Unavailable) as error:
            self._refused_at = time.monotonic()
            self._canceller.cancel(workflow_id)
            raise Unavailable(f"Temporal did not take the request in time: {error}") from error
        finally:
            _quiet(start)


def _quiet(start: WithStartWorkflowOperation[Any, Any]) -> None:
    """Mark the operation's future as read, now or when a call that was given up settles it.

    Else asyncio logs 'never retrieved' after a failure.
    """
    future = start._workflow_handle  # noqa: SLF001 - the SDK offers no other way to read it without waiting
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
