"""Staying with an avatar in its room: attached by a long step, attached again after an outage, lost when it is lost.

The step's heartbeat is only the alarm. Whether the server is lost is read from its lease row (design rule 9).
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from contracts import steps
    from domain.failures import FailureCode
    from domain.session import EndReason
from workflows.step_options import perform, start

BETWEEN_LOOKS = timedelta(seconds=1.5)
"""A living server renews its leases every second."""
SILENT = timedelta(seconds=3.5)
"""So long no living server is silent: one that stood still for two seconds has renewed after three."""
SHORTEST = timedelta(milliseconds=100)
UNSURE = frozenset({FailureCode.TEMPORARILY_UNAVAILABLE})
"""What a server says that could not renew for a while: it may be cut off, or the database may be away for everybody."""
AFTER_AN_OUTAGE = timedelta(seconds=5)
"""A database that has just come back has not heard from anybody yet."""


class PresenceWatch:
    """The workflow's hold on one generation of a session's avatar."""

    def __init__(
        self,
        session_id: str,
        lease: steps.LeaseServerResult,
        generation: int,
        settle: timedelta,
        heartbeat_within: timedelta,
    ) -> None:
        self._session_id = session_id
        self._heartbeat_within = heartbeat_within
        self.settle = settle
        """Who is gone for less is not reported as gone."""
        self._lease = lease
        self.generation = generation
        """The fencing number of the lease."""
        self.may_still_run = False
        """Was the server given up without a word, so that its avatar may come back to life?"""
        self._stay = self._attach("stay in the room")

    @property
    def lease(self) -> steps.LeaseServerResult:
        """Where the avatar is."""
        return self._lease

    @property
    def server(self) -> str:
        """The server that shows the avatar."""
        return self._lease.server

    @property
    def over(self) -> bool:
        """Has the step returned or failed?"""
        return self._stay.done()

    async def why_over(self, stop: Callable[[], bool]) -> str | None:
        """The end reason; None if the avatar is still there, and attached again, or if `stop` came true meanwhile."""
        try:
            return (await self._stay).reason
        except ActivityError as error:
            if isinstance(error.cause, ApplicationError) and error.cause.type not in UNSURE:
                return EndReason.SERVER_LOST
        if await self._lost(stop):
            self.may_still_run = True
            return EndReason.SERVER_LOST
        if not stop():
            self._stay = self._attach("attach again after an outage")
        return None

    async def leave(self) -> bool:
        """Tell the avatar to leave and wait until it has; did its server say so, before it was gone itself?"""
        self._stay.cancel()
        with suppress(ActivityError, asyncio.CancelledError):
            await self._stay
            return True
        return False

    def _attach(self, what: str) -> workflow.ActivityHandle[steps.StayInRoomResult]:
        return start(
            steps.stay_in_room,
            steps.StayInRoomInput(session_id=self._session_id, generation=self.generation, settle=self.settle),
            summary=f"{what} on {self._lease.server}, generation {self.generation}",
            queue=self._lease.queue,
            heartbeat=self._heartbeat_within,
        )

    async def _lost(self, stop: Callable[[], bool]) -> bool:
        """Did the lease's renewal counter stand still between two answered looks, or has the server long been silent?

        The worker has looked at all servers all the time: where it can vouch for the silence, part of the time
        between the two looks, or all of it, has passed before the alarm.
        """
        first = last = await self._look(stop)
        began = workflow.now()
        while first is not None and last is not None and not stop():
            if not last.held or last.renewals != first.renewals:
                return not last.held
            left = min(BETWEEN_LOOKS - (workflow.now() - began), SILENT - last.still)
            if left <= timedelta(0):
                return True
            await _pause(max(left, SHORTEST), stop, "does the server still renew its lease?")
            last = await self._look(stop)
        return False

    async def _look(self, stop: Callable[[], bool]) -> steps.LookAtLeaseResult | None:
        """One answered look; None once `stop` is true. After a failed look the servers get time to renew again."""
        wanted = steps.LookAtLeaseInput(session_id=self._session_id, generation=self.generation)
        while not stop():
            try:
                return await perform(steps.look_at_lease, wanted, summary=f"look at the lease of {self._lease.server}")
            except ApplicationError:
                await _pause(AFTER_AN_OUTAGE, stop, "the database is away; look again")
        return None


async def _pause(length: timedelta, stop: Callable[[], bool], summary: str) -> None:
    """Sleep, but wake at once when `stop` comes true."""
    with suppress(TimeoutError):
        await workflow.wait_condition(stop, timeout=length, timeout_summary=summary)
