"""Resampling by soxr, as LiveKit's SDK brings it along; knows nothing of rooms."""

import numpy as np
from livekit import rtc

from presence.speech.conversion import SAMPLE_RATE, Sound


class SoxrResampler:
    """Mono samples of one segment to 48 kHz. Holds up to 40 ms back until it is flushed."""

    def __init__(self, rate: int) -> None:
        self._resampler = rtc.AudioResampler(rate, SAMPLE_RATE, quality=rtc.AudioResamplerQuality.MEDIUM)

    def push(self, samples: Sound) -> Sound:
        """What is ready; the rest comes with later pieces."""
        return _joined(self._resampler.push(bytearray(samples.tobytes())))

    def flush(self) -> Sound:
        """The rest. Nothing is pushed afterwards."""
        return _joined(self._resampler.flush())


def _joined(frames: list[rtc.AudioFrame]) -> Sound:
    return np.concatenate([np.zeros(0, np.int16), *(np.frombuffer(frame.data, np.int16) for frame in frames)])
