"""Counting who is in a LiveKit room; silent while the SDK reconnects, when it reports everybody as gone."""

import asyncio

from livekit import rtc
from livekit.rtc import ConnectionState, ParticipantKind

from domain.rooms import FOR_CLIENT, ON_BEHALF
from presence.rooms.base import Occupancy, OccupancyListener

SETTLE_S = 5.0
"""After a reconnect the others come back one by one, each in its own time; a count before that would find nobody."""

_PEOPLE = (
    ParticipantKind.PARTICIPANT_KIND_STANDARD,
    ParticipantKind.PARTICIPANT_KIND_SIP,
    ParticipantKind.PARTICIPANT_KIND_CONNECTOR,
)


class Census:
    """Reports the occupancy at the join and on changes."""

    def __init__(self, room: rtc.Room, seen: OccupancyListener) -> None:
        self._room = room
        self._seen = seen
        self._last: Occupancy | None = None
        self._open = False
        self._settling: asyncio.TimerHandle | None = None
        room.on("participant_connected", lambda _: self._count())
        room.on("participant_disconnected", lambda _: self._count())
        room.on("reconnecting", self.close)
        room.on("reconnected", self._settle)

    def open(self) -> None:
        """Start to report, with the present occupancy first."""
        self._open = True
        self._count()

    def close(self) -> None:
        """Report nothing until the room is opened again."""
        self._open = False
        if self._settling is not None:
            self._settling.cancel()

    def _settle(self) -> None:
        self.close()
        self._settling = asyncio.get_running_loop().call_later(SETTLE_S, self.open)

    def _count(self) -> None:
        if not self._open or self._room.connection_state != ConnectionState.CONN_CONNECTED:
            return
        others = self._room.remote_participants
        kinds = [participant.kind for participant in others.values()]
        told = self._room.local_participant.attributes
        named = None if FOR_CLIENT in told else told.get(ON_BEHALF)
        occupancy = Occupancy(
            people=sum(participant.kind in _PEOPLE for participant in others.values() if participant.identity != named),
            agents=kinds.count(ParticipantKind.PARTICIPANT_KIND_AGENT),
            agent_there=named in others if named else None,
        )
        if occupancy != self._last:
            self._last = occupancy
            self._seen(occupancy)
