"""What tests of speech share: a clock that is moved by hand, a listener that notes, and tones."""

import heapq
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from presence.speech.conversion import SAMPLE_RATE, Sound


class FakeClock:
    """Time that stands still until it is moved; timers fire on the way, in their order."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now
        self._timers: list[tuple[float, int, Callable[[], Any]]] = []
        self._numbers = itertools.count()

    def time(self) -> float:
        """Now."""
        return self.now

    def call_at(self, when: float, callback: Callable[[], Any]) -> None:
        """Remember a timer."""
        heapq.heappush(self._timers, (when, next(self._numbers), callback))

    def move(self, seconds: float) -> None:
        """Let time pass."""
        target = self.now + seconds
        while self._timers and self._timers[0][0] <= target:
            when, _, callback = heapq.heappop(self._timers)
            self.now = max(self.now, when)
            callback()
        self.now = target


class FakeListener:
    """Notes what it is told, and when; several may share one list."""

    def __init__(self, clock: FakeClock, told: list[tuple[Any, ...]], name: str) -> None:
        self._clock = clock
        self._told = told
        self._name = name

    def on_started(self) -> None:
        """Note."""
        self._told.append((self._name, "started", round(self._clock.now, 3)))

    def on_finished(self, position_s: float, *, interrupted: bool) -> None:
        """Note."""
        end = "interrupted" if interrupted else "finished"
        self._told.append((self._name, end, round(self._clock.now, 3), round(position_s, 3)))


class FakeResampler:
    """Repeats or skips samples; holds the last ones back until it is flushed, as real ones do."""

    HELD = 48

    def __init__(self, rate: int) -> None:
        self._factor = SAMPLE_RATE // rate
        self._held = np.zeros(0, np.int16)

    def push(self, samples: Sound) -> Sound:
        """All but the last ones."""
        ready = np.concatenate([self._held, np.repeat(samples, self._factor)])
        self._held = ready[-self.HELD :]
        return ready[: -self.HELD]

    def flush(self) -> Sound:
        """The last ones."""
        return self._held


def tone(seconds: float, rate: int = SAMPLE_RATE, hertz: float = 300.0) -> NDArray[np.int16]:
    """A loud sine, mono."""
    moments = np.arange(round(seconds * rate)) / rate
    return (12_000 * np.sin(2 * np.pi * hertz * moments)).astype(np.int16)
