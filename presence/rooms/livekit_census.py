"""Counting who is in a LiveKit room; silent while the SDK reconnects, when it reports everybody as gone."""

from livekit import rtc
from livekit.rtc import ConnectionState, ParticipantKind

from domain.rooms import FOR_CLIENT, ON_BEHALF
from presence.rooms.base import Occupancy, OccupancyListener
from presence.rooms.census import CensusClerk

_PEOPLE = (
    ParticipantKind.PARTICIPANT_KIND_STANDARD,
    ParticipantKind.PARTICIPANT_KIND_SIP,
    ParticipantKind.PARTICIPANT_KIND_CONNECTOR,
)


class Census(CensusClerk):
    """Reports the occupancy at the join and on changes."""

    def __init__(self, room: rtc.Room, seen: OccupancyListener) -> None:
        super().__init__(seen)
        self._room = room
        room.on("participant_connected", lambda _: self._count())
        room.on("participant_disconnected", lambda _: self._count())
        room.on("reconnecting", self.close)
        room.on("reconnected", self.settle)

    def _occupancy(self) -> Occupancy | None:
        if self._room.connection_state != ConnectionState.CONN_CONNECTED:
            return None
        others = self._room.remote_participants
        kinds = [participant.kind for participant in others.values()]
        told = self._room.local_participant.attributes
        named = None if FOR_CLIENT in told else told.get(ON_BEHALF)
        return Occupancy(
            people=sum(participant.kind in _PEOPLE for participant in others.values() if participant.identity != named),
            agents=kinds.count(ParticipantKind.PARTICIPANT_KIND_AGENT),
            agent_there=named in others if named else None,
        )
