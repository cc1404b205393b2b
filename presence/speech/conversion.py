"""Speech as it comes, turned into what is played: mono at 48 kHz; refuses no format, a wrong one falls back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.int16]

SAMPLE_RATE: Final = 48_000
"""Of everything that is played, in Hz."""

_RATES = range(4_000, 384_001)
_CHANNELS = range(1, 9)
_NOTHING: Final[Sound] = np.zeros(0, np.int16)


@dataclass(frozen=True, kw_only=True)
class SpeechFormat:
    """How a segment's bytes are to be read: signed 16-bit little-endian samples, channels interleaved."""

    rate: int = 16_000
    channels: int = 1


def read_format(attributes: Mapping[str, str] | None) -> SpeechFormat:
    """The format that a stream's `sample_rate` and `num_channels` name; 16 kHz and mono for what is missing or absurd.

    Senders that leave them out send what speech synthesis gives: 16 kHz, mono (the clients that we know of do).
    """
    told, usual = attributes or {}, SpeechFormat()
    return SpeechFormat(
        rate=_number(told.get("sample_rate"), _RATES, usual.rate),
        channels=_number(told.get("num_channels"), _CHANNELS, usual.channels),
    )


def _number(text: str | None, allowed: range, otherwise: int) -> int:
    try:
        number = int(text or "")
    except ValueError:
        return otherwise
    return number if number in allowed else otherwise


class Resampler(Protocol):
    """Brings mono samples to 48 kHz, piece by piece. One serves one segment."""

    def push(self, samples: Sound) -> Sound:
        """What is ready; the rest comes with later pieces."""

    def flush(self) -> Sound:
        """The rest. Nothing is pushed afterwards."""


ResamplerFactory = Callable[[int], Resampler]
"""Makes a resampler for an input rate in Hz."""


class Converter:
    """One segment's bytes as mono samples at 48 kHz, however its chunks were cut."""

    def __init__(self, speech_format: SpeechFormat, make_resampler: ResamplerFactory) -> None:
        self._channels = speech_format.channels
        self._carried = b""
        self._resampler = None if speech_format.rate == SAMPLE_RATE else make_resampler(speech_format.rate)

    def push(self, pcm: bytes) -> Sound:
        """The samples that are ready. Half a sample at the end of a chunk waits for the next one."""
        pcm = self._carried + pcm
        whole = len(pcm) - len(pcm) % (2 * self._channels)
        self._carried = pcm[whole:]
        if not whole:
            return _NOTHING
        samples: Sound = np.frombuffer(pcm, "<i2", count=whole // 2).astype(np.int16, copy=False)
        if self._channels > 1:
            samples = (samples.reshape(-1, self._channels).sum(axis=1, dtype=np.int32) // self._channels).astype(
                np.int16
            )
        return samples if self._resampler is None else self._resampler.push(samples)

    def flush(self) -> Sound:
        """What the resampler held back. Half a sample that never got its other half is dropped."""
        self._carried = b""
        return _NOTHING if self._resampler is None else self._resampler.flush()
