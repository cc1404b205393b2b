"""A running session's minutes: reserved slice by slice, each before the last one ends (design rule 17)."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from contracts import steps
    from domain.session import EndReason, Life
from workflows.step_options import perform

In = TypeVar("In")
Out = TypeVar("Out")

ASK_BEFORE_S = 60.0
"""So long before a slice's end the next one is asked for, so that the room can be warned where there is none."""
WHILE_AWAY = timedelta(seconds=5)
"""Between attempts while the database is away: that is no reason to end a session."""


class Meter:
    """Notes that somebody came, keeps the session paid for, and ends it when no minutes are left."""

    def __init__(self, session_id: str, covered_s: float | None) -> None:
        """`covered_s`: for how long from its start the session is paid; None: its plan has no limit."""
        self._session_id = session_id
        self._covered_s = covered_s
        self._tasks: list[asyncio.Task[None]] = []

    def begin(
        self,
        life: Callable[[], Life],
        came: Callable[[], bool],
        end: Callable[[EndReason], None],
    ) -> None:
        """Start to watch a session's life, which may be extended; `came`: has anybody been in the room?"""
        watches: list[Coroutine[Any, Any, None]] = [self._note_attendance(came)]
        if self._covered_s is not None:
            watches.append(self._keep_paid(life, self._covered_s, end))
        self._tasks = [asyncio.create_task(watch) for watch in watches]

    def stop(self) -> None:
        """The session is about to end: what is left is given back with the end's record."""
        for task in self._tasks:
            task.cancel()

    async def _note_attendance(self, came: Callable[[], bool]) -> None:
        """Until somebody came, a session costs nothing: that must outlive the workflow."""
        await workflow.wait_condition(came)
        wanted = steps.RecordAttendedInput(session_id=self._session_id)
        await _until_done(steps.record_attended, wanted, "record that somebody came")

    async def _keep_paid(
        self,
        life: Callable[[], Life],
        covered_s: float,
        end: Callable[[EndReason], None],
    ) -> None:
        begin_s = 0.0
        while True:
            paid_until = life().started_at + timedelta(seconds=covered_s)
            # What is paid to its end needs no timer, until somebody extends it.
            await workflow.wait_condition(lambda until=paid_until: until < life().enforced_end)  # type: ignore[misc]
            lead_s = min(ASK_BEFORE_S, (covered_s - begin_s) / 2)
            await _sleep_until(paid_until - timedelta(seconds=lead_s), "ask for the next slice of minutes")
            now_s = await self._reserve(covered_s)
            if now_s is not None and now_s <= covered_s:
                # None left. Whoever buys some within this minute keeps the session.
                await _sleep_until(paid_until, "the last minutes end")
                now_s = await self._reserve(covered_s)
            if now_s is None:
                return
            if now_s <= covered_s:
                end(EndReason.MINUTES_EXHAUSTED)
                return
            begin_s, covered_s = covered_s, now_s

    async def _reserve(self, covered_s: float) -> float | None:
        wanted = steps.ReserveMinutesInput(session_id=self._session_id, covered_s=covered_s)
        summary = f"reserve minutes beyond {covered_s / 60:g}"
        return (await _until_done(steps.reserve_minutes, wanted, summary)).covered_s


async def _until_done(step: steps.Step[In, Out], value: In, summary: str) -> Out:
    while True:
        try:
            return await perform(step, value, summary=summary)
        except ApplicationError as error:
            workflow.logger.warning("%s was put off: %s", step.name, error)
            await workflow.sleep(WHILE_AWAY, summary=f"{step.name} failed; try again")


async def _sleep_until(at: datetime, why: str) -> None:
    left = at - workflow.now()
    if left > timedelta(0):
        await workflow.sleep(left, summary=f"{why} at {at:%F %T} UTC")
