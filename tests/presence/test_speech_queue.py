"""The queue of speech, read as the playback reads it, on a clock that is moved by hand."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presence.renderers.base import AvatarState
from presence.speech import speech_queue
from presence.speech.conversion import SAMPLE_RATE, SpeechFormat
from presence.speech.segment import Segment
from presence.speech.speech_queue import SpeechQueue
from support.speech_bench import FakeClock, FakeListener, FakeResampler, tone

FRAME_S = 0.04
FRAME = round(FRAME_S * SAMPLE_RATE)
LEAD_S = 0.04
FORMAT = SpeechFormat(rate=SAMPLE_RATE)
SPEAKING, IDLE, LISTENING = AvatarState.SPEAKING, AvatarState.IDLE, AvatarState.LISTENING


@dataclass
class Stage:
    """A queue, and a playback that reads a frame each 40 ms for a time one lead ahead."""

    clock: FakeClock = field(default_factory=FakeClock)
    told: list[tuple[Any, ...]] = field(default_factory=list)
    heard: list[np.ndarray[Any, np.dtype[np.int16]]] = field(default_factory=list)
    states: list[AvatarState] = field(default_factory=list)
    drops: int = 0

    def __post_init__(self) -> None:
        self.queue = SpeechQueue(self.clock, FakeResampler)
        self.queue.drop_lead = self.note_drop

    def note_drop(self) -> None:
        """Count."""
        self.drops += 1

    def open(self, name: str = "a", speech_format: SpeechFormat = FORMAT) -> Segment:
        """A segment whose listener notes."""
        return self.queue.open(speech_format, FakeListener(self.clock, self.told, name))

    def say(self, seconds: float, name: str = "a", *, end: bool = True) -> Segment:
        """A segment with a tone."""
        segment = self.open(name)
        self.queue.push(segment, tone(seconds).tobytes())
        if end:
            self.queue.end(segment)
        return segment

    def play(self, frames: int) -> None:
        """Read so many frames and let their time pass."""
        for _ in range(frames):
            sound, state = self.queue.read(FRAME, self.clock.now + LEAD_S)
            self.heard.append(sound)
            self.states.append(state)
            self.clock.move(FRAME_S)

    @property
    def sound(self) -> np.ndarray[Any, np.dtype[np.int16]]:
        """Everything that was read."""
        return np.concatenate(self.heard)


def test_latency_is_told_of_speech_that_did_not_have_to_wait() -> None:
    """From the first bytes to the moment they play; of one behind another only when, how much, and how it ended."""
    stage, over = Stage(), []
    stage.queue.on_over = over.append
    first = stage.say(0.2, "a")
    stage.say(0.2, "b", end=False)
    stage.play(8)
    stage.queue.clear()
    assert first.heard_at is not None
    (a, b) = over
    assert a.latency_s == pytest.approx(first.heard_at - a.began_at)
    assert 0 < a.latency_s <= LEAD_S + 0.001
    assert (a.played_s, a.interrupted) == (pytest.approx(0.2), False)
    assert (b.latency_s, b.interrupted) == (None, True)


def test_a_segment_without_sound_is_no_utterance() -> None:
    """Who opens a segment and says nothing has not spoken."""
    stage, over = Stage(), []
    stage.queue.on_over = over.append
    stage.queue.end(stage.open())
    stage.play(3)
    assert over == []


def test_a_segment_is_told_when_it_is_heard_not_when_it_is_read() -> None:
    """Read at 100.0 for 100.04: it starts at 100.04, and 0.1 s of it is over at 100.14."""
    stage = Stage()
    stage.say(0.1)
    stage.play(6)
    assert stage.told == [("a", "started", 100.04), ("a", "finished", 100.14, 0.1)]
    assert stage.states == [SPEAKING] * 3 + [IDLE] * 3
    np.testing.assert_array_equal(stage.sound[: round(0.1 * SAMPLE_RATE)], tone(0.1))
    assert not stage.sound[round(0.1 * SAMPLE_RATE) :].any()


def test_segments_follow_without_a_gap() -> None:
    """The second one begins in the frame in which the first one ends, and each is told once and in order."""
    stage = Stage()
    for name in ("a", "b"):
        stage.say(0.1, name)
    stage.play(8)
    assert stage.told == [
        ("a", "started", 100.04),
        ("a", "finished", 100.14, 0.1),
        ("b", "started", 100.14),
        ("b", "finished", 100.24, 0.1),
    ]
    np.testing.assert_array_equal(stage.sound[: 2 * round(0.1 * SAMPLE_RATE)], np.concatenate([tone(0.1)] * 2))


def test_a_clear_reports_what_was_heard_not_what_was_read() -> None:
    """After three frames, 0.12 s were read and 0.08 s heard; the one behind it never began."""
    stage = Stage()
    stage.say(1.0)
    stage.say(1.0, "b")
    drops = stage.drops
    stage.play(3)
    stage.queue.clear()
    assert stage.told == [
        ("a", "started", 100.04),
        ("a", "interrupted", 100.12, 0.08),
        ("b", "interrupted", 100.12, 0.0),
    ]
    assert stage.drops == drops + 1
    stage.play(4)
    assert not np.concatenate(stage.heard[3:]).any()
    assert stage.states[3:] == [IDLE] * 4
    assert len(stage.told) == 3


@pytest.mark.parametrize("seconds", [0.003, 0.017, 0.04, 0.055, 0.099])
def test_a_clear_in_the_midst_of_a_frame_is_exact(seconds: float) -> None:
    """The position follows the time, not the frames."""
    stage = Stage()
    stage.say(2.0)
    stage.play(5)
    stage.queue.read(FRAME, stage.clock.now + LEAD_S)
    stage.queue.read(FRAME, stage.clock.now + LEAD_S + FRAME_S)
    stage.queue.read(FRAME, stage.clock.now + LEAD_S + 2 * FRAME_S)
    stage.clock.move(seconds)
    stage.queue.clear()
    assert stage.told[-1][3] == pytest.approx(0.16 + seconds, abs=0.001)


def test_a_clear_before_the_first_sample_is_heard_says_no_start() -> None:
    """Read but not heard: position 0, interrupted, and no start before or after."""
    stage = Stage()
    stage.say(1.0)
    stage.queue.read(FRAME, stage.clock.now + LEAD_S)
    stage.clock.move(0.02)
    stage.queue.clear()
    stage.clock.move(1)
    assert stage.told == [("a", "interrupted", 100.02, 0.0)]


def test_a_clear_without_speech_disturbs_nothing() -> None:
    """Nothing is reported, and the silence under way is not thrown away."""
    stage = Stage()
    stage.queue.clear()
    stage.say(0.1)
    stage.play(8)
    told, drops = list(stage.told), stage.drops
    stage.queue.clear()
    assert stage.told == told
    assert stage.drops == drops


def test_an_open_segment_without_a_sample_is_reported_by_a_clear() -> None:
    """Its sender waits for an answer too."""
    stage = Stage()
    stage.open()
    stage.queue.clear()
    assert stage.told == [("a", "interrupted", 100.0, 0.0)]


def test_an_empty_segment_is_finished_in_its_turn() -> None:
    """Nothing was said: position 0, not interrupted, after the one before it."""
    stage = Stage()
    stage.say(0.1)
    empty = stage.open("b")
    stage.queue.end(empty)
    stage.play(6)
    assert stage.told[1:] == [("a", "finished", 100.14, 0.1), ("b", "finished", 100.14, 0.0)]


def test_what_comes_after_a_clear_or_an_end_is_not_played() -> None:
    """A cleared or ended segment takes nothing more, and is not reported again."""
    stage = Stage()
    cleared, ended = stage.say(1.0, end=False), stage.say(0.1, "b")
    stage.queue.clear()
    for segment in (cleared, ended):
        stage.queue.push(segment, tone(1.0).tobytes())
        stage.queue.end(segment)
    stage.play(4)
    assert not stage.sound.any()
    assert [told[1] for told in stage.told] == ["interrupted", "interrupted"]


def test_a_dropped_segment_is_not_played_and_nobody_is_told() -> None:
    """Its source is gone. What others sent is played."""
    stage = Stage()
    stage.queue.drop(stage.say(1.0))
    stage.say(0.08, "b")
    stage.play(4)
    assert [told[:2] for told in stage.told] == [("b", "started"), ("b", "finished")]


def test_speech_starts_ahead_of_silence_that_is_queued() -> None:
    """The lead is thrown away once for the first 80 ms of speech, and not again while it plays."""
    stage = Stage()
    segment = stage.open()
    stage.queue.push(segment, tone(0.07).tobytes())
    assert stage.drops == 0
    for _ in range(3):
        stage.queue.push(segment, tone(0.07).tobytes())
    assert stage.drops == 1
    stage.play(2)
    stage.queue.push(segment, tone(1.0).tobytes())
    stage.say(1.0, "b")
    assert stage.drops == 1


def test_a_short_segment_starts_ahead_of_silence_too() -> None:
    """Less than 80 ms, but all there is."""
    stage = Stage()
    stage.say(0.03)
    assert stage.drops == 1


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 35), min_size=40, max_size=40))
def test_a_sender_as_fast_as_the_sound_is_played_without_holes(late_ms: list[int]) -> None:
    """20 ms of speech come each 20 ms, each up to 35 ms late: what was begun is not interrupted."""
    stage = Stage()
    segment = stage.open()
    speech = np.arange(1, 38_401).astype(np.int16)  # no two chunks alike
    come_at = np.maximum.accumulate(100 + 0.02 * np.arange(40) + np.array(late_ms) / 1000)
    for at, piece in zip(come_at, np.split(speech, 40), strict=True):
        stage.clock.call_at(at, Feed(stage, segment, piece.tobytes()))
    stage.play(30)
    assert stage.sound.any()
    np.testing.assert_array_equal(np.trim_zeros(stage.sound), speech)


@dataclass
class Feed:
    """A chunk that comes later. Chunks stay in order, as on a stream."""

    stage: Stage
    segment: Segment
    pcm: bytes

    def __call__(self) -> None:
        """Take it in."""
        self.stage.queue.push(self.segment, self.pcm)


def test_a_rest_that_stays_alone_is_played() -> None:
    """Less than a frame waits for more, but no longer than 100 ms."""
    stage = Stage()
    stage.say(0.01, end=False)
    stage.play(2)
    assert not stage.sound.any()
    stage.play(2)
    assert stage.sound.any()
    assert stage.queue.buffered_s == 0


def test_a_pause_within_a_segment_is_no_speech() -> None:
    """For 0.3 s the avatar is about to go on; then it idles, until sound comes, and nothing is reported."""
    stage = Stage()
    segment = stage.say(0.08, end=False)
    stage.play(15)
    assert stage.states[:9] == [SPEAKING] * 9
    assert stage.states[10:] == [IDLE] * 5
    stage.queue.push(segment, tone(0.08).tobytes())
    stage.play(1)
    assert stage.states[-1] is SPEAKING
    assert [told[1] for told in stage.told] == ["started"]


def test_a_stream_that_never_ends_is_reported_once_and_goes_on() -> None:
    """After 10 s without sound its end is taken for lost; later sound is played, and not reported a second time."""
    stage = Stage()
    segment = stage.say(0.2, end=False)
    stage.play(240)
    assert [told[1] for told in stage.told] == ["started"]
    stage.play(30)
    assert [told[1] for told in stage.told] == ["started", "finished"]
    assert stage.told[-1][3] == 0.2
    stage.queue.push(segment, tone(0.2).tobytes())
    stage.play(2)
    assert stage.heard[-1].any()
    stage.queue.end(segment)
    stage.play(10)
    stage.queue.clear()
    assert len(stage.told) == 2


def test_whoever_does_not_speak_may_listen() -> None:
    """The state follows what the source says, except while speech plays."""
    stage = Stage()
    stage.queue.listening = True
    stage.say(0.04)
    stage.play(2)
    assert stage.states == [SPEAKING, LISTENING]


def test_buffered_speech_is_bounded(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """What is beyond the capacity is dropped, over all segments together, and the log says so once."""
    monkeypatch.setattr(speech_queue, "CAPACITY_S", 1)
    stage = Stage()
    with caplog.at_level(logging.WARNING):
        for _ in range(4):
            stage.say(0.4)
    assert stage.queue.buffered_s == 1.0
    assert caplog.text.count("is dropped") == 1
    stage.play(30)
    assert [told[3] for told in stage.told if told[1] == "finished"] == [0.4, 0.4, 0.2, 0.0]


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("open"), st.integers(0, 6_000)),
        st.tuples(st.just("push"), st.integers(0, 6_000)),
        st.tuples(st.just("end"), st.just(0)),
        st.tuples(st.just("clear"), st.just(0)),
        st.tuples(st.just("play"), st.integers(1, 4)),
        st.tuples(st.just("wait"), st.integers(1, 60)),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=150)
@given(ACTIONS)
def test_whatever_happens_each_segment_is_finished_once(actions: list[tuple[str, int]]) -> None:
    """Exactly one finish each, in their order, at most one start before it, and no position beyond what was sent."""
    stage, segments, sent = Stage(), list[Segment](), list[int]()

    def push(samples: int) -> None:
        if segments and not (segments[-1].ended or segments[-1].closed):
            stage.queue.push(segments[-1], tone(1.0)[:samples].tobytes())
            sent[-1] += samples

    def open_one(samples: int) -> None:
        if segments:
            stage.queue.end(segments[-1])
        segments.append(stage.open(str(len(segments))))
        sent.append(0)
        push(samples)

    doings: dict[str, Callable[[int], None]] = {
        "open": open_one,
        "push": push,
        "end": lambda _: stage.queue.end(segments[-1]) if segments else None,
        "clear": lambda _: stage.queue.clear(),
        "play": stage.play,
        "wait": lambda milliseconds: stage.clock.move(milliseconds / 1000),
    }
    for action, number in actions:
        doings[action](number)
    if segments:
        stage.queue.end(segments[-1])
    stage.play(sum(sent) // FRAME + 4)
    ends = [told for told in stage.told if told[1] != "started"]
    assert [int(told[0]) for told in ends] == list(range(len(segments)))
    for number, *_, position_s in ends:
        assert position_s <= sent[int(number)] / SAMPLE_RATE + 0.001
        mine = [told[1] for told in stage.told if told[0] == number]
        assert mine in (["started", mine[-1]], [mine[-1]])
        assert mine[0] == "started" or position_s == 0
        if mine[-1] == "finished":
            assert position_s == pytest.approx(sent[int(number)] / SAMPLE_RATE, abs=0.001)


def test_it_is_quiet_between_utterances() -> None:
    """Silent before and after a segment, not while it plays or waits for more; a stream that never ends has pauses."""
    stage = Stage()
    assert stage.queue.quiet
    stage.say(0.2)
    assert not stage.queue.quiet
    stage.play(12)
    assert stage.queue.quiet
    endless = stage.say(0.2, "endless", end=False)
    stage.play(12)
    assert not stage.queue.quiet
    stage.play(round(speech_queue.SETTLED_S / FRAME_S) + 1)
    assert stage.queue.quiet
    stage.queue.push(endless, tone(0.2).tobytes())
    assert not stage.queue.quiet
