"""Rooms of our own making: made before an avatar joins, deleted when its session is over."""

from datetime import timedelta

from activities.beats import beating
from activities.failures import translated
from adapters.livekit_rooms import LiveKitRooms
from contracts import steps
from domain.failures import FailureCode, Refused


class ManagedRoomActivities:
    """Both steps may be repeated. None of them runs where the operator has set no LiveKit server."""

    def __init__(self, rooms: LiveKitRooms | None) -> None:
        self._rooms = rooms

    @steps.make_room.implementation
    async def make_room(self, value: steps.MakeRoomInput) -> steps.Done:
        """Make a room on the operator's LiveKit server."""
        with translated():
            await self._known().make(
                value.name,
                empty=timedelta(seconds=value.empty_seconds),
                departure=timedelta(seconds=value.departure_seconds),
            )
        return steps.Done()

    @steps.delete_room.implementation
    async def delete_room(self, value: steps.DeleteRoomInput) -> steps.Done:
        """Delete a room; one that is gone is no error."""
        with translated():
            async with beating():
                await self._known().delete(value.name)
        return steps.Done()

    def _known(self) -> LiveKitRooms:
        if self._rooms is None:
            message = "the sessions role has no LiveKit server to make rooms on"
            raise Refused(FailureCode.ROOM_PLATFORM_UNAVAILABLE, message)
        return self._rooms
