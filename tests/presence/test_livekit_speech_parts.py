"""The parts of speech in a LiveKit room, each alone: what follows a clear, who the agent is, what it is told."""

import asyncio
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from livekit import rtc
from livekit.rtc import ConnectionState, ParticipantKind

from presence.rooms.livekit_agent import AgentWatch
from presence.rooms.livekit_reports import PlaybackReports
from presence.rooms.livekit_speech import SpeechStream
from presence.speech.conversion import SAMPLE_RATE, SpeechFormat
from presence.speech.speech_queue import SpeechQueue
from support.speech_bench import FakeClock, FakeListener, FakeResampler, tone

CONNECTED, RECONNECTING = ConnectionState.CONN_CONNECTED, ConnectionState.CONN_RECONNECTING
AGENT, PERSON = ParticipantKind.PARTICIPANT_KIND_AGENT, ParticipantKind.PARTICIPANT_KIND_STANDARD
Code = rtc.RpcError.ErrorCode


class FedStream:
    """A stream on a clock that is moved by hand, with what is heard of it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.told: list[tuple[Any, ...]] = []
        self.queue = SpeechQueue(self.clock, FakeResampler)
        listener: Any = FakeListener(self.clock, self.told, "a")
        self.stream = SpeechStream(self.queue, SpeechFormat(rate=SAMPLE_RATE), listener, self.clock.now)

    def feed(self, seconds: float) -> None:
        """A chunk comes."""
        self.stream.feed(tone(seconds).tobytes(), self.clock.now)

    def clear(self) -> None:
        """The agent interrupts."""
        self.queue.clear()
        self.stream.clear(self.clock.now)

    def heard_s(self) -> float:
        """Play for a second; how much of it was speech."""
        loud = 0
        for _ in range(25):
            sound, _ = self.queue.read(1_920, self.clock.now + 0.04)
            loud += int(np.count_nonzero(sound))
            self.clock.move(0.04)
        return round(loud / SAMPLE_RATE, 2)


def test_the_rest_of_what_was_cleared_is_not_heard() -> None:
    """Chunks that follow a clear without a pause belong to what was cleared, however many they are."""
    fed = FedStream()
    fed.feed(0.1)
    fed.clear()
    for _ in range(20):
        fed.clock.move(0.1)
        fed.feed(0.1)
    assert fed.heard_s() == 0
    fed.stream.end()
    assert [told[1] for told in fed.told] == ["interrupted"]


def test_what_is_said_after_a_pause_is_heard_and_not_reported() -> None:
    """A stream that never ends goes on after each clear; its sender counts one end, and has got it."""
    fed = FedStream()
    for _ in range(3):
        fed.feed(0.4)
        fed.clear()
        fed.clock.move(0.3)
    fed.feed(0.4)
    assert fed.heard_s() == pytest.approx(0.4, abs=0.01)
    fed.stream.end()
    fed.heard_s()
    assert [told[1] for told in fed.told] == ["interrupted"]


def test_a_pause_before_the_clear_counts() -> None:
    """Everything had been sent long before: nothing is on its way, and the next words are new at once."""
    fed = FedStream()
    fed.feed(3.0)
    fed.clock.move(1.0)
    fed.clear()
    fed.clock.move(0.03)
    fed.feed(0.1)
    assert fed.queue.buffered_s == 0
    fed.clock.move(0.25)
    fed.clear()
    fed.clock.move(0.06)
    fed.feed(0.2)
    assert fed.heard_s() == pytest.approx(0.2, abs=0.01)


class FakeLocalParticipant:
    """Ourselves: attributes, and calls that are answered by a script."""

    def __init__(self, attributes: dict[str, str]) -> None:
        self.attributes = attributes
        self.answers: list[str | Exception] = []
        self.calls: list[tuple[str, str, str]] = []

    async def perform_rpc(self, *, destination_identity: str, method: str, payload: str) -> str:
        """Note, and answer."""
        self.calls.append((destination_identity, method, payload))
        await asyncio.sleep(0)
        answer = self.answers.pop(0) if self.answers else "ok"
        if isinstance(answer, Exception):
            raise answer
        return answer


class FakeRoom(rtc.EventEmitter[Any]):
    """The SDK's room, as far as speech looks at it."""

    def __init__(self, agent: str) -> None:
        super().__init__()
        self.connection_state = CONNECTED
        self.local_participant = FakeLocalParticipant({"lk.publish_on_behalf": agent} if agent else {})
        self.remote_participants: dict[str, SimpleNamespace] = {}

    def enter(self, identity: str, kind: int = AGENT, attributes: dict[str, str] | None = None) -> None:
        """Somebody comes."""
        who = SimpleNamespace(identity=identity, kind=kind, attributes=dict(attributes or {}), joined_at=None)
        self.remote_participants[identity] = who
        self.emit("participant_connected", who)

    def go(self, identity: str) -> None:
        """Somebody goes, or seems to."""
        self.emit("participant_disconnected", self.remote_participants.pop(identity))

    def say(self, identity: str, state: str) -> None:
        """An agent tells what it does."""
        who = self.remote_participants[identity]
        who.attributes["lk.agent.state"] = state
        self.emit("participant_attributes_changed", {"lk.agent.state": state}, who)


def watched(agent: str = "") -> tuple[FakeRoom, AgentWatch, list[object]]:
    """A room, the watch over the agent that the token names, and what it notes."""
    room, noted = FakeRoom(agent), list[object]()

    def leave() -> None:
        noted.append("left")

    return room, AgentWatch(room, left=leave, listening=noted.append), noted  # type: ignore[arg-type]


def test_the_agent_is_the_one_that_the_token_names() -> None:
    """Whoever else is there, and whether it is there already or not."""
    room, watch, _ = watched("ada")
    assert watch.identity == "ada"
    room.enter("other")
    assert watch.identity == "ada"
    assert not watch.may_be("unknown")


def test_without_a_name_it_is_the_first_agent_that_is_no_avatar() -> None:
    """Persons and avatars are no agents; the first one stays it until it leaves."""
    room, watch, _ = watched()
    room.enter("person", PERSON)
    room.enter("other avatar", attributes={"lk.publish_on_behalf": "somebody"})
    assert watch.identity == ""
    assert watch.may_be("unknown")
    assert not watch.may_be("person")
    room.enter("ada")
    room.enter("bob")
    assert watch.identity == "ada"
    room.go("ada")
    assert watch.identity == "bob"


def test_an_agent_that_leaves_ends_its_tenure_and_one_that_is_out_of_sight_does_not() -> None:
    """While the SDK reconnects everybody seems to go; who comes back is the same one."""
    room, watch, noted = watched("ada")
    room.enter("ada")
    room.connection_state = RECONNECTING
    room.go("ada")
    assert (watch.tenure, watch.out_of_sight) == (0, True)
    room.connection_state = CONNECTED
    room.enter("ada")
    assert (watch.tenure, watch.out_of_sight) == (0, False)
    room.enter("bob")
    room.go("bob")
    assert watch.tenure == 0
    room.go("ada")
    assert watch.tenure == 1
    assert noted[-2:] == [False, "left"]


def test_the_avatar_listens_when_its_agent_says_so() -> None:
    """Only the agent's own state counts, from the moment it is there."""
    room, _, noted = watched("ada")
    room.enter("ada", attributes={"lk.agent.state": "listening"})
    room.enter("bob")
    room.say("bob", "thinking")
    room.say("ada", "speaking")
    assert noted == [True, False]


def test_an_agent_that_was_there_first_is_heard_too() -> None:
    """Its state is read when the room is entered."""
    room, watch, noted = watched("ada")
    watch.look()
    room.remote_participants["ada"] = SimpleNamespace(identity="ada", attributes={"lk.agent.state": "listening"})
    watch.look()
    assert noted == [True]


Reporting = tuple[FakeRoom, AgentWatch, PlaybackReports]


@pytest.fixture
def reporting(monkeypatch: pytest.MonkeyPatch) -> Reporting:
    """Reports to an agent that is there; what is waited for takes no time."""
    monkeypatch.setattr("presence.rooms.livekit_reports.AGAIN_AFTER_S", 0.001)
    monkeypatch.setattr("presence.rooms.livekit_reports._LOOK_EVERY_S", 0.001)
    monkeypatch.setattr("presence.rooms.livekit_reports.REACHABLE_WITHIN_S", 0.2)
    room, watch, _ = watched("ada")
    room.enter("ada")
    return room, watch, PlaybackReports(room, watch)  # type: ignore[arg-type]


async def settled(ready: Callable[[], bool]) -> bool:
    """Let the reports go out, and see whether it comes to this."""
    for _ in range(60):
        if ready():
            break
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.01)
    return ready()


async def test_an_end_has_exactly_the_three_keys(reporting: Reporting) -> None:
    """livekit-agents builds an object of them: one more, and the call fails."""
    room, watch, reports = reporting
    reports.finished(watch.tenure, 1.25, interrupted=True)
    assert await settled(lambda: len(room.local_participant.calls) == 1)
    ((who, method, payload),) = room.local_participant.calls
    assert (who, method) == ("ada", "lk.playback_finished")
    told = json.loads(payload)
    assert told == {"playback_position": 1.25, "interrupted": True, "synchronized_transcript": None}


async def test_ends_are_told_in_order_and_tried_three_times(reporting: Reporting) -> None:
    """One that fails is tried again before the next is told; after three tries the next has its turn."""
    room, watch, reports = reporting
    room.local_participant.answers = [rtc.RpcError(Code.SEND_FAILED, "x") for _ in range(5)]
    for position in (1.0, 2.0, 3.0):
        reports.finished(watch.tenure, position, interrupted=False)
    calls = room.local_participant.calls
    assert await settled(lambda: len(calls) == 7)
    assert [json.loads(payload)["playback_position"] for *_, payload in calls] == [1, 1, 1, 2, 2, 2, 3]


@pytest.mark.parametrize("code", [Code.RESPONSE_TIMEOUT, Code.APPLICATION_ERROR])
async def test_an_end_that_may_have_arrived_is_not_told_twice(reporting: Reporting, code: Code) -> None:
    """The agent counts: a second one would end its next segment."""
    room, watch, reports = reporting
    room.local_participant.answers = [rtc.RpcError(code, "x")]
    reports.finished(watch.tenure, 1.0, interrupted=False)
    assert await settled(lambda: len(room.local_participant.calls) == 1)


async def test_an_agent_that_takes_no_starts_is_told_of_none(reporting: Reporting) -> None:
    """The first one is refused as unknown; then they are left out, and the ends are not."""
    room, watch, reports = reporting
    room.local_participant.answers = [rtc.RpcError(Code.UNSUPPORTED_METHOD, "x")]
    reports.started(watch.tenure)
    assert await settled(lambda: len(room.local_participant.calls) == 1)
    reports.started(watch.tenure)
    reports.finished(watch.tenure, 1.0, interrupted=False)
    assert await settled(lambda: len(room.local_participant.calls) == 2)
    assert [method for _, method, _ in room.local_participant.calls] == ["lk.playback_started", "lk.playback_finished"]


async def test_an_end_waits_for_the_room_and_for_the_agent(reporting: Reporting) -> None:
    """In a reconnect nobody can be called: the end is told when the agent is back, not before."""
    room, watch, reports = reporting
    room.connection_state = RECONNECTING
    room.go("ada")
    reports.finished(watch.tenure, 1.0, interrupted=False)
    assert await settled(lambda: not room.local_participant.calls)
    room.connection_state = CONNECTED
    assert await settled(lambda: not room.local_participant.calls)
    room.enter("ada")
    assert await settled(lambda: len(room.local_participant.calls) == 1)


async def test_an_end_of_an_agent_that_has_left_is_kept_back(reporting: Reporting) -> None:
    """The one that comes under the same name never said it, and would count it as its own."""
    room, watch, reports = reporting
    tenure = watch.tenure
    room.go("ada")
    room.enter("ada")
    reports.started(tenure)
    reports.finished(tenure, 1.0, interrupted=False)
    assert await settled(lambda: not room.local_participant.calls)
