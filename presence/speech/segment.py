"""One stretch of speech: what is left to play of it, and how much of it was really played; decides nothing."""

from collections import deque
from dataclasses import dataclass
from typing import Final, Protocol

from presence.speech.conversion import SAMPLE_RATE, Converter, Sound

SOON_S: Final = 0.001
"""Timers may fire this early."""


class SegmentListener(Protocol):
    """Who is told how a segment was played."""

    def on_started(self) -> None:
        """Its first sample plays now; said at most once."""

    def on_finished(self, position_s: float, *, interrupted: bool) -> None:
        """Nothing more of it will be told. `position_s` seconds of it were played; said exactly once."""


class Unheard:
    """Nobody wants to know."""

    def on_started(self) -> None:
        """Nothing."""

    def on_finished(self, position_s: float, *, interrupted: bool) -> None:
        """Nothing."""


@dataclass(frozen=True, kw_only=True)
class _Run:
    """Samples that were handed out, and when they play."""

    starts_at: float
    samples: int

    @property
    def ends_at(self) -> float:
        return self.starts_at + self.samples / SAMPLE_RATE

    def played(self, now: float) -> int:
        return min(max(round((now - self.starts_at) * SAMPLE_RATE), 0), self.samples)


class Segment:
    """Speech of one source from its first byte to its end. Made and moved by the queue; sources only hold it."""

    def __init__(self, converter: Converter, listener: SegmentListener, opened_at: float) -> None:
        self.converter = converter
        self.listener = listener
        self.ended = False
        """No more bytes will come."""
        self.closed = False
        """Out of the queue: played, cleared or dropped."""
        self.started = False
        """Was its first sample heard?"""
        self.reported = False
        """Was its listener told that it is finished?"""
        self.buffered = 0
        """Samples that wait to be handed out."""
        self.fed_at = opened_at
        """When the last samples came."""
        self.first_fed_at: float | None = None
        """When the first samples came; None before."""
        self.waits = False
        """Had it to wait for another one, when its first samples came?"""
        self.heard_at: float | None = None
        """When its first sample played; None before."""
        self.quiet_from = opened_at
        """When the last sample handed out stops playing."""
        self._waiting: deque[Sound] = deque()
        self._runs: deque[_Run] = deque()
        self._played = 0

    @property
    def exhausted(self) -> bool:
        """Is every sample handed out, for good?"""
        return self.ended and not self.buffered

    def feed(self, samples: Sound, now: float) -> None:
        """Add samples."""
        self.fed_at = now
        if len(samples):
            if self.first_fed_at is None:
                self.first_fed_at = now
            self._waiting.append(samples)
            self.buffered += len(samples)

    def take(self, out: Sound, plays_at: float) -> int:
        """Hand out samples that play at a time; returns how many there were."""
        taken = 0
        while taken < len(out) and self._waiting:
            piece = self._waiting.popleft()
            part = piece[: len(out) - taken]
            out[taken : taken + len(part)] = part
            taken += len(part)
            if len(part) < len(piece):
                self._waiting.appendleft(piece[len(part) :])
        self.buffered -= taken
        if taken:
            self._runs.append(_Run(starts_at=plays_at, samples=taken))
            self.quiet_from = self._runs[-1].ends_at
        return taken

    def position_s(self, now: float) -> float:
        """How much of it was heard by now, in seconds."""
        while self._runs and self._runs[0].ends_at <= now:
            self._played += self._runs.popleft().samples
        return (self._played + sum(run.played(now) for run in self._runs)) / SAMPLE_RATE

    def is_audible(self, now: float) -> bool:
        """Was anything of it heard by now?"""
        return self._played > 0 or (bool(self._runs) and self._runs[0].starts_at <= now + SOON_S)

    def is_over(self, now: float) -> bool:
        """Was its last sample played?"""
        return self.exhausted and self.quiet_from <= now + SOON_S

    def close(self) -> None:
        """Take nothing more, and hold no sound: a source may hold the segment for hours."""
        self.closed = True
        self.buffered = 0
        self._waiting.clear()
