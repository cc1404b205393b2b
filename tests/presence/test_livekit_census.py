"""Counting who is in a LiveKit room."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from livekit import rtc
from livekit.rtc import ConnectionState, ParticipantKind

from presence.rooms.base import Occupancy
from presence.rooms.livekit_census import Census

CONNECTED, RECONNECTING = ConnectionState.CONN_CONNECTED, ConnectionState.CONN_RECONNECTING


class FakeRoom(rtc.EventEmitter[Any]):
    """The SDK's room, as far as a census looks at it."""

    def __init__(self) -> None:
        super().__init__()
        self.connection_state = CONNECTED
        self.remote_participants: dict[str, SimpleNamespace] = {}
        self.local_participant = SimpleNamespace(attributes={})

    def enter(self, identity: str, kind: int = ParticipantKind.PARTICIPANT_KIND_STANDARD) -> None:
        """Somebody comes."""
        self.remote_participants[identity] = SimpleNamespace(kind=kind, identity=identity)
        self.emit("participant_connected", self.remote_participants[identity])

    def go(self, identity: str) -> None:
        """Somebody goes, or seems to."""
        self.emit("participant_disconnected", self.remote_participants.pop(identity))


def watched() -> tuple[FakeRoom, Census, list[tuple[int, int]]]:
    """A room, its census and what it reports."""
    room, seen = FakeRoom(), list[tuple[int, int]]()

    def note(occupancy: Occupancy) -> None:
        seen.append((occupancy.people, occupancy.agents))

    return room, Census(room, note), seen  # type: ignore[arg-type]


def test_kinds_count_as_the_contract_says() -> None:
    """Standard, SIP and connector are people, agents are agents, recorders and importers are neither."""
    room, census, seen = watched()
    room.enter("early")
    assert seen == []
    census.open()
    room.enter("sip", ParticipantKind.PARTICIPANT_KIND_SIP)
    room.enter("connector", ParticipantKind.PARTICIPANT_KIND_CONNECTOR)
    room.enter("agent", ParticipantKind.PARTICIPANT_KIND_AGENT)
    room.enter("egress", ParticipantKind.PARTICIPANT_KIND_EGRESS)
    room.enter("ingress", ParticipantKind.PARTICIPANT_KIND_INGRESS)
    room.go("early")
    assert seen == [(1, 0), (2, 0), (3, 0), (3, 1), (2, 1)]


async def test_nobody_is_gone_while_the_sdk_reconnects(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK takes everybody out of the room and puts them back: no change, unless somebody really stayed away."""
    monkeypatch.setattr("presence.rooms.census.SETTLE_S", 0.05)
    room, census, seen = watched()
    room.enter("stays")
    room.enter("goes")
    census.open()
    room.emit("reconnecting")
    room.connection_state = RECONNECTING
    room.go("stays")
    room.go("goes")
    room.connection_state = CONNECTED
    room.emit("reconnected")
    room.enter("stays")
    assert seen == [(2, 0)]
    await asyncio.sleep(0.1)
    assert seen == [(2, 0), (1, 0)]


async def test_a_room_that_was_left_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the end nothing is reported, not even by a timer that was set before."""
    monkeypatch.setattr("presence.rooms.census.SETTLE_S", 0.01)
    room, census, seen = watched()
    census.open()
    room.emit("reconnected")
    census.close()
    room.enter("late")
    await asyncio.sleep(0.03)
    assert seen == [(0, 0)]


def test_the_agent_of_the_token_is_told_of_apart() -> None:
    """Whether it is there, of whatever kind it is; it is no person. Without such a name nothing is said of agents."""
    room, seen = FakeRoom(), list[Occupancy]()
    room.local_participant.attributes = {"lk.publish_on_behalf": "my-agent"}
    Census(room, seen.append).open()  # type: ignore[arg-type]
    room.enter("my-agent")
    room.enter("other", ParticipantKind.PARTICIPANT_KIND_AGENT)
    room.go("my-agent")
    assert [(one.people, one.agent_there) for one in seen] == [(0, False), (0, True), (0, True), (0, False)]
    room.local_participant.attributes = {}
    room.enter("guest")
    assert seen[-1].agent_there is None


def test_a_client_whose_speech_the_avatar_takes_is_a_person() -> None:
    """In a room of our own making nobody else speaks for the avatar: while the client is there it is not empty."""
    room, seen = FakeRoom(), list[Occupancy]()
    room.local_participant.attributes = {"lk.publish_on_behalf": "client", "greenroom.client": "client"}
    Census(room, seen.append).open()  # type: ignore[arg-type]
    room.enter("client")
    room.go("client")
    assert [(one.people, one.agent_there) for one in seen] == [(0, None), (1, None), (0, None)]
