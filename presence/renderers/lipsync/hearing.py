"""From sound at 48 kHz to the log-mel window that models of the Wav2Lip kind hear; knows no picture.

Numbers from Wav2Lip's hparams.py: 16 kHz, transforms of 800 samples every 200, pre-emphasis 0.97, 80 bands from 55 to
7600 Hz on Slaney's scale with Slaney's areas, decibels under a reference of 20, -100 at the least, scaled to -4..4.
"""

import math
from functools import lru_cache

import numpy as np

from presence.renderers.lipsync.wire import BANDS, STEPS, Floats

RATE_IN, RATE, FACTOR = 48_000, 16_000, 3
TRANSFORM, HOP = 800, 200
PREEMPHASIS = np.float32(0.97)
LOWEST_HZ, HIGHEST_HZ = 55.0, 7600.0
REFERENCE_DB, LEAST_DB, MOST = 20.0, -100.0, 4.0
REACH = TRANSFORM + HOP * (STEPS - 1)
"""Samples at 16 kHz under one window."""

TAPS, CUTOFF_HZ, KAISER = 193, 7500.0, 8.0
"""A low-pass that takes 80 dB away above 8.1 kHz, and 2 ms of time."""

LAG_S = (REACH - TRANSFORM / 2) / RATE - 0.08 + (TAPS - 1) / 2 / RATE_IN
"""How much earlier than a job's own 40 ms of sound the moment is that its picture fits: about 0.13 s.

Such models are trained on windows whose first transform is centred 40 ms before the frame (get_segmented_mels in
Wav2Lip's wav2lip_train.py): they hear 0.17 s ahead. A renderer hears nothing before it plays.
"""

QUIET = 0.002
"""Root mean square below which nobody speaks."""
HELD_S, GONE_S, RISE_S = 0.08, 0.2, 0.08
"""The mouth is shown fully until so long after the last sound, not at all from then on, and comes within so long."""
SURE_S = 0.2
"""Sound on both sides of a longer hole has nothing in common."""


class Downsampler:
    """48 kHz to 16 kHz, piece by piece."""

    def __init__(self) -> None:
        self._rest = np.zeros(TAPS - 1, np.float32)

    def push(self, pcm: Floats) -> Floats:
        """The samples that are ready; up to two wait for the next piece."""
        sound = np.concatenate([self._rest, pcm])
        count = max((sound.size - TAPS) // FACTOR + 1, 0)
        self._rest = sound[count * FACTOR :]
        if not count:
            return np.zeros(0, np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(sound, TAPS)[::FACTOR][:count]
        ready: Floats = windows @ _low_pass()
        return ready


class Hearing:
    """Follows one track's sound."""

    def __init__(self) -> None:
        self._index = -1
        self._downsampler = Downsampler()
        self._heard: Floats = np.zeros(REACH + 1, np.float32)
        self._quiet_s, self._risen = math.inf, 0.0

    def hear(self, pcm: Floats, frame_index: int) -> tuple[Floats | None, float]:
        """The mel window (80, 16) that ends with a frame's sound, and how much of the moved mouth is to be seen, 0..1.

        In silence there is no window. A frame lasts as long as its sound.
        """
        seconds = pcm.size / RATE_IN
        if (frame_index - self._index - 1) * seconds > SURE_S:
            self._downsampler, self._heard = Downsampler(), np.zeros(REACH + 1, np.float32)
        self._index = frame_index
        self._heard = np.concatenate([self._heard, self._downsampler.push(pcm)])[-REACH - 1 :]
        share = self._share(pcm, seconds)
        return (log_mel(self._heard), share) if share > 0 else (None, 0.0)

    def _share(self, pcm: Floats, seconds: float) -> float:
        loud = pcm.size > 0 and float(np.sqrt(np.mean(np.square(pcm)))) >= QUIET
        self._quiet_s = 0.0 if loud else self._quiet_s + seconds
        left = min((GONE_S - self._quiet_s) / (GONE_S - HELD_S), 1.0)
        # Sums of frames' lengths: what is left of a share by rounding is none.
        self._risen = min(self._risen + seconds / RISE_S, 1.0) if left > 1e-6 else 0.0  # noqa: PLR2004
        return min(self._risen, left)


def log_mel(sound: Floats) -> Floats:
    """The window (80, 16) in -4..4 of 3801 samples at 16 kHz; the first one only gives the second its pre-emphasis."""
    sharp = sound[1:] - PREEMPHASIS * sound[:-1]
    windows = np.lib.stride_tricks.sliding_window_view(sharp, TRANSFORM)[::HOP]
    sizes = np.abs(np.fft.rfft(windows * _hann(), axis=1)).astype(np.float32)
    decibels = 20 * np.log10(np.maximum(mel_bands() @ sizes.T, 10 ** (LEAST_DB / 20))) - REFERENCE_DB
    scaled = 2 * MOST * (decibels - LEAST_DB) / -LEAST_DB - MOST
    window: Floats = np.clip(scaled, -MOST, MOST).astype(np.float32)
    return window


@lru_cache(maxsize=1)
def mel_bands() -> Floats:
    """Weights (80, 401) of the transform's frequencies in each band: triangles of equal area over hertz."""
    edges = _hertz(np.linspace(_mel(LOWEST_HZ), _mel(HIGHEST_HZ), BANDS + 2))
    frequencies = np.arange(TRANSFORM // 2 + 1) * RATE / TRANSFORM
    low, middle, high = (edges[start : start + BANDS, None] for start in range(3))
    rising, falling = (frequencies - low) / (middle - low), (high - frequencies) / (high - middle)
    weights: Floats = (np.clip(np.minimum(rising, falling), 0, None) * 2 / (high - low)).astype(np.float32)
    return weights


def _mel(hertz: float) -> float:
    """Slaney's scale: linear up to 1 kHz, then logarithmic (Auditory Toolbox, 1998)."""
    return hertz * 3 / 200 if hertz < 1000 else 15 + 27 * math.log(hertz / 1000) / math.log(6.4)  # noqa: PLR2004


def _hertz(mels: Floats) -> Floats:
    hertz: Floats = np.where(mels < 15, mels * 200 / 3, 1000 * 6.4 ** ((mels - 15) / 27))  # noqa: PLR2004
    return hertz


@lru_cache(maxsize=1)
def _hann() -> Floats:
    window: Floats = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(TRANSFORM) / TRANSFORM)).astype(np.float32)
    return window


@lru_cache(maxsize=1)
def _low_pass() -> Floats:
    times = np.arange(TAPS) - (TAPS - 1) / 2
    taps = np.sinc(2 * CUTOFF_HZ / RATE_IN * times) * np.kaiser(TAPS, KAISER)
    scaled: Floats = (taps / taps.sum()).astype(np.float32)
    return scaled
