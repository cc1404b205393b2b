"""A running session's minutes."""

from activities.failures import translated
from contracts import steps
from database.reservations import Reservations


class MinuteActivities:
    """Reserves the next slice, and notes that somebody came: from then on a session costs something."""

    def __init__(self, reservations: Reservations) -> None:
        self._reservations = reservations

    @steps.reserve_minutes.implementation
    async def reserve_minutes(self, value: steps.ReserveMinutesInput) -> steps.ReserveMinutesResult:
        """Hold the next slice for the session; the answer is the same as before where none is left."""
        with translated():
            covered_s = await self._reservations.extend(value.session_id, value.covered_s)
        return steps.ReserveMinutesResult(covered_s=covered_s)

    @steps.record_attended.implementation
    async def record_attended(self, value: steps.RecordAttendedInput) -> steps.Done:
        """Write that somebody was in the room; once."""
        with translated():
            await self._reservations.attend(value.session_id)
        return steps.Done()
