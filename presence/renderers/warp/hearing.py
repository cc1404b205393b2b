"""From sound to the mouth's pose: loudness opens it, the spectrum shapes it; recognises no words."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from presence.renderers.warp.geometry import Floats
from presence.renderers.warp.mouth import MouthPose

RATE = 48_000
TICK = 0.04
"""Seconds for which the shares below are meant."""
BANDS = ((150, 500), (500, 1000), (1000, 2000), (2000, 3500), (3500, 8000))
"""Hertz: the voice's ground, open vowels, the middle, spread vowels, hisses."""
QUIET = 0.003
"""Root mean square below which nobody speaks."""
RANGE_DB = 32.0
"""So far below the loudest of late the mouth is shut."""
LEAST_PEAK, FORGET = 0.03, 0.998
ATTACK, DECAY, SHUT, WIDTH = 0.75, 0.45, 0.045, 0.4
"""Share of the way that openness goes up and down in a tick; what it loses besides; share of the way of the width."""
CLOSED = 0.02


class Hearing:
    """Follows one track's sound."""

    def __init__(self) -> None:
        self._openness = self._width = 0.0
        self._peak = 0.1

    def hear(self, pcm: Floats, seconds: float) -> MouthPose:
        """The pose after `seconds` more, whose end was heard as `pcm`: mono at 48 kHz, in -1..1."""
        ticks = seconds / TICK
        loud = float(np.sqrt(np.mean(pcm * pcm))) if pcm.size else 0.0
        self._peak = max(self._peak * FORGET**ticks, loud, LEAST_PEAK)
        openness, width = (0.0, 0.0) if loud < QUIET else self._aim(pcm, loud)
        share = ATTACK if openness > self._openness else DECAY
        self._openness += (1 - (1 - share) ** ticks) * (openness - self._openness)
        if openness < self._openness:
            self._openness = max(self._openness - SHUT * ticks, openness)
        self._width += (1 - (1 - WIDTH) ** ticks) * (width - self._width)
        if self._openness < CLOSED:
            return MouthPose()
        return MouthPose(openness=self._openness, width=self._width)

    def _aim(self, pcm: Floats, loud: float) -> tuple[float, float]:
        level = max(0.0, 1 + 20 * float(np.log10(loud / self._peak)) / RANGE_DB) ** 1.3
        ground, open_, middle, spread, hiss = self._bands(pcm)
        openness = level * (0.45 + 0.75 * min(1.0, 1.6 * open_ + 0.6 * middle)) * (1 - 0.7 * hiss)
        width = 2.2 * (spread + 0.6 * middle + 0.8 * hiss) - 0.9 * ground - 0.15
        return min(openness, 1.0), float(np.clip(width, -1, 1))

    @staticmethod
    def _bands(pcm: Floats) -> tuple[float, ...]:
        """Each band's share of the power in all of them."""
        window, edges = _window(pcm.size)
        power = np.abs(np.fft.rfft(pcm * window)) ** 2
        sums = [float(power[start:end].sum()) for start, end in edges]
        total = sum(sums) + 1e-9
        return tuple(one / total for one in sums)


@lru_cache(maxsize=8)
def _window(samples: int) -> tuple[NDArray[np.float32], tuple[tuple[int, int], ...]]:
    """Hann's window, and where each band lies in the transform."""
    bin_hz = RATE / max(samples, 1)
    edges = tuple((round(low / bin_hz), round(high / bin_hz)) for low, high in BANDS)
    return np.hanning(samples).astype(np.float32), edges
