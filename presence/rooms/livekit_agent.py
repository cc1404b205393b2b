"""Who in a LiveKit room speaks for the avatar: the agent it publishes for; knows nothing of sound."""

import logging
from collections.abc import Callable
from typing import Final

from livekit import rtc
from livekit.rtc import ConnectionState, ParticipantKind

from domain.rooms import ON_BEHALF

log = logging.getLogger(__name__)

AGENT_STATE: Final = "lk.agent.state"
"""Attribute that an agent sets on itself."""
LISTENING: Final = "listening"


class AgentWatch:
    """The agent of this avatar: the one that the token names, else the first participant of kind agent.

    Between two agents, and between an agent's leaving and its return, lies a change of `tenure`. The SDK reports
    everybody as gone while it reconnects; that is none. A server tells of those who have published and said nothing of
    themselves up to 3 s late: an agent may speak before it is known, and one that is replaced before it was known
    passes for the same.
    """

    def __init__(self, room: rtc.Room, *, left: Callable[[], None], listening: Callable[[bool], None]) -> None:
        self._room = room
        self._left = left
        self._listening = listening
        self._first = ""
        self.tenure = 0
        """Grows with each agent that leaves."""
        self.out_of_sight = False
        """Did it vanish in a reconnect, and has not come back yet?"""
        room.on("participant_connected", self._on_connected)
        room.on("participant_disconnected", self._on_disconnected)
        room.on("participant_attributes_changed", lambda _, participant: self._hear_state(participant))

    @property
    def identity(self) -> str:
        """The agent's identity; empty where the token names none and no agent is in the room."""
        named = self._room.local_participant.attributes.get(ON_BEHALF, "")
        return named or self._first_agent()

    def may_be(self, identity: str) -> bool:
        """Is it too early to say that somebody is not the agent?"""
        return bool(identity) and not self.identity and identity not in self._room.remote_participants

    def look(self) -> None:
        """See who is there already; called once, when the room is entered."""
        participant = self._room.remote_participants.get(self.identity)
        if participant is not None:
            self._hear_state(participant)

    def _first_agent(self) -> str:
        others = self._room.remote_participants
        if self._first not in others and self._room.connection_state == ConnectionState.CONN_CONNECTED:
            agents = (who for who in others.values() if _is_agent(who))
            self._first = next((who.identity for who in sorted(agents, key=_joined_at)), "")
        return self._first

    def _on_connected(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity == self.identity:
            self.out_of_sight = False
        self._hear_state(participant)

    def _on_disconnected(self, participant: rtc.RemoteParticipant) -> None:
        named = self._room.local_participant.attributes.get(ON_BEHALF) or self._first
        if participant.identity != named:
            return
        if self._room.connection_state != ConnectionState.CONN_CONNECTED:
            self.out_of_sight = True
            return
        self.tenure += 1
        log.info("the agent has left")
        self._listening(False)
        self._left()

    def _hear_state(self, participant: rtc.Participant) -> None:
        if participant.identity == self.identity:
            self._listening(participant.attributes.get(AGENT_STATE) == LISTENING)


def _is_agent(participant: rtc.RemoteParticipant) -> bool:
    """Is it an agent, and no avatar of one?"""
    return participant.kind == ParticipantKind.PARTICIPANT_KIND_AGENT and ON_BEHALF not in participant.attributes


def _joined_at(participant: rtc.RemoteParticipant) -> float:
    joined_at = participant.joined_at
    return joined_at.timestamp() if joined_at else float("inf")
