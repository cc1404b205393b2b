"""One queue of speech for every source, read by one clock; bounded, and exact about what was heard. Knows no room."""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from presence.renderers.base import AvatarState
from presence.speech.conversion import SAMPLE_RATE, Converter, ResamplerFactory, Sound, SpeechFormat
from presence.speech.segment import SOON_S, Segment, SegmentListener, Unheard

log = logging.getLogger(__name__)

CAPACITY_S: Final = 300
"""Speech that waits at most. A sender that is further ahead of the sound loses what is beyond."""
HOLD_S: Final = 0.1
"""Less than a frame of sound waits so long for the rest of the frame; then it is played as it is."""
PAUSE_S: Final = 0.3
"""A segment that got no further sound for so long is a pause in which the avatar does not speak."""
SETTLED_S: Final = 1.0
"""A segment that is dry for so long is a pause between two utterances; some streams never end."""
LOST_END_S: Final = 10.0
"""A segment that is dry for so long is reported as played: the word that it ended was lost, or will never be said."""
_HEAD_START: Final = SAMPLE_RATE * 8 // 100
"""Samples with which speech starts, ahead of silence that is queued: what the lead takes, and so no later (80 ms)."""


class Clock(Protocol):
    """Time and timers; an event loop is one."""

    def time(self) -> float:
        """Now, in seconds."""

    def call_at(self, when: float, callback: Callable[[], Any]) -> object:
        """Call back at a time."""


def _nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """A segment that is over. Times are the clock's, in seconds."""

    began_at: float
    """When its first sound came."""
    ended_at: float
    played_s: float
    interrupted: bool
    latency_s: float | None
    """From its first sound to the moment that played; None where it had to wait for another, or was never heard."""


def _nobody_asks(_: Utterance) -> None:
    """Do nothing."""


class SpeechQueue:
    """Segments in the order in which they were opened, each played to its end unless it is cleared.

    A listener hears `on_started` when a segment's first sample plays and `on_finished` when its last one has been
    played, or at once when it is cleared: neither when samples are handed out, which is up to 80 ms earlier.
    """

    def __init__(self, clock: Clock, make_resampler: ResamplerFactory) -> None:
        self._clock = clock
        self._make_resampler = make_resampler
        self._segments: deque[Segment] = deque()
        self._over_capacity = False
        self._hurried = False
        self._spoke_at = float("-inf")
        self.listening = False
        """Does the avatar listen while it does not speak?"""
        self.drop_lead: Callable[[], None] = _nothing
        """Called to throw away what was handed out and has not been played."""
        self.on_over: Callable[[Utterance], None] = _nobody_asks
        """Called when a segment is over of which there was any sound."""

    @property
    def buffered_s(self) -> float:
        """Seconds of speech that wait."""
        return sum(segment.buffered for segment in self._segments) / SAMPLE_RATE

    @property
    def quiet(self) -> bool:
        """Is there nothing to say, and nothing to come that was begun?"""
        now = self._clock.time()
        return all(
            not segment.buffered
            and segment.quiet_from <= now
            and (segment.exhausted or now - max(segment.fed_at, segment.quiet_from) >= SETTLED_S)
            for segment in self._segments
        )

    def open(self, speech_format: SpeechFormat, listener: SegmentListener | None = None) -> Segment:
        """A new segment behind all others."""
        converter = Converter(speech_format, self._make_resampler)
        segment = Segment(converter, listener or Unheard(), self._clock.time())
        self._segments.append(segment)
        return segment

    def push(self, segment: Segment, pcm: bytes) -> None:
        """Add bytes to a segment. What comes after its end, a clear or beyond the capacity is dropped."""
        if segment.ended or segment.closed:
            return
        self._feed(segment, segment.converter.push(pcm))
        self._hurry()

    def end(self, segment: Segment) -> None:
        """Say that nothing more comes of a segment."""
        if segment.ended or segment.closed:
            return
        self._feed(segment, segment.converter.flush())
        segment.ended = True
        self._hurry()
        if segment.exhausted:
            self._clock.call_at(segment.quiet_from, self._advance)

    def drop(self, segment: Segment) -> None:
        """Forget a segment whose source is gone: nothing more of it is played, and nobody is told."""
        if not segment.closed:
            segment.close()
            self._segments.remove(segment)

    def clear(self) -> None:
        """Fall silent now. Each segment that was not over is reported as interrupted, with what was heard of it."""
        self._advance()
        now = self._clock.time()
        cleared = list(self._segments)
        positions = [segment.position_s(now) for segment in cleared]
        self._segments.clear()
        if any(segment.quiet_from > now for segment in cleared):
            self.drop_lead()
        for segment, position_s in zip(cleared, positions, strict=True):
            segment.close()
            self._finish(segment, position_s, interrupted=True)

    def read(self, samples: int, plays_at: float) -> tuple[Sound, AvatarState]:
        """The samples that will play at a time, mono at 48 kHz and exactly that many, and what the avatar does."""
        self._advance()
        self._hurried = False
        out = np.zeros(samples, np.int16)
        filled = 0
        for segment in self._segments:
            starts_at = plays_at + filled / SAMPLE_RATE
            if not segment.exhausted and self._is_ready(segment, samples - filled, starts_at):
                filled += self._take(segment, out[filled:], starts_at)
            if not segment.exhausted:
                break
        if filled:
            self._spoke_at = self._clock.time()
        return out, self._state(speaks=filled > 0)

    def _state(self, *, speaks: bool) -> AvatarState:
        going_on = not all(segment.exhausted for segment in self._segments)
        if speaks or (going_on and self._clock.time() - self._spoke_at < PAUSE_S):
            return AvatarState.SPEAKING
        return AvatarState.LISTENING if self.listening else AvatarState.IDLE

    def _feed(self, segment: Segment, samples: Sound) -> None:
        room = max(CAPACITY_S * SAMPLE_RATE - sum(waiting.buffered for waiting in self._segments), 0)
        if len(samples) > room and not self._over_capacity:
            self._over_capacity = True
            log.warning("more than %d s of speech wait to be played; what is beyond is dropped", CAPACITY_S)
        if segment.first_fed_at is None and len(samples):
            now = self._clock.time()
            others = (one for one in self._segments if one is not segment)
            segment.waits = any(one.buffered or one.quiet_from > now for one in others)
        segment.feed(samples[:room], self._clock.time())

    def _is_ready(self, segment: Segment, wanted: int, starts_at: float) -> bool:
        # A sender that is only as fast as the sound, and not steady, would be played with holes: who starts, or starts
        # again, waits until there is enough to go on.
        goes_on = segment.quiet_from >= starts_at - SOON_S
        wanted = wanted if goes_on else max(wanted, _HEAD_START)
        late = self._clock.time() - segment.fed_at >= HOLD_S
        return segment.buffered >= wanted or segment.ended or (late and segment.buffered > 0)

    def _take(self, segment: Segment, out: Sound, plays_at: float) -> int:
        taken = segment.take(out, plays_at)
        if taken and not segment.started:
            self._clock.call_at(plays_at, self._advance)
        if segment.exhausted:
            self._clock.call_at(segment.quiet_from, self._advance)
        return taken

    def _hurry(self) -> None:
        """Let speech begin at once, ahead of the silence that is queued; never where speech is queued too."""
        first = next((segment for segment in self._segments if not segment.exhausted), None)
        if first is None or self._hurried or first.buffered < (1 if first.ended else _HEAD_START):
            return
        now = self._clock.time()
        if all(segment.quiet_from <= now for segment in self._segments):
            self._hurried = True
            self.drop_lead()

    def _advance(self) -> None:
        """Tell the listeners what has happened by now."""
        now = self._clock.time()
        while self._segments:
            segment = self._segments[0]
            self._start(segment, now)
            if not segment.is_over(now):
                self._give_up(segment, now)
                return
            self._segments.popleft()
            position_s = segment.position_s(now + SOON_S)
            segment.close()
            self._finish(segment, position_s, interrupted=False)

    def _start(self, segment: Segment, now: float) -> None:
        if not segment.started and not segment.reported and segment.is_audible(now):
            segment.started = True
            segment.heard_at = now
            segment.listener.on_started()

    def _give_up(self, segment: Segment, now: float) -> None:
        """Report an open segment that has run dry, but keep it: streams that never close go on after any silence."""
        position_s = segment.position_s(now)
        if not segment.buffered and now - max(segment.fed_at, segment.quiet_from) >= LOST_END_S:
            self._finish(segment, position_s, interrupted=False)

    def _finish(self, segment: Segment, position_s: float, *, interrupted: bool) -> None:
        if not segment.reported:
            segment.reported = True
            self._tell(segment, position_s, interrupted=interrupted)
            segment.listener.on_finished(position_s, interrupted=interrupted)

    def _tell(self, segment: Segment, position_s: float, *, interrupted: bool) -> None:
        began, heard = segment.first_fed_at, segment.heard_at
        if began is not None:
            latency_s = None if heard is None or segment.waits else heard - began
            now = self._clock.time()
            over = Utterance(
                began_at=began, ended_at=now, played_s=position_s, interrupted=interrupted, latency_s=latency_s
            )
            self.on_over(over)
