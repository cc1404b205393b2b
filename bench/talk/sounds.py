"""Made-up sound: tones whose beginning and end are sharp, and babble that moves a mouth as speech does."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.int16]

RATE: Final = 16_000
"""Of all sounds here, in Hz: what speech synthesis gives."""
_LOUD = 12_000


def tone(seconds: float, *, hertz: float = 300.0) -> Sound:
    """A loud sine."""
    moments = np.arange(round(seconds * RATE)) / RATE
    return (_LOUD * np.sin(2 * np.pi * hertz * moments)).astype(np.int16)


def beats(count: int, *, on_s: float = 0.5, off_s: float = 0.5) -> Sound:
    """A tone and silence, in turn; silence first, so that beats follow each other evenly."""
    one = np.concatenate([np.zeros(round(off_s * RATE), np.int16), tone(on_s)])
    return np.tile(one, count)


def babble(seconds: float, *, seed: int = 1) -> Sound:
    """Syllables of a voice at 130 Hz whose vowel and loudness change, with pauses between phrases."""
    dice = np.random.default_rng(seed)
    pieces, made = list[NDArray[np.float64]](), 0
    while made < seconds * RATE:
        pieces.append(_syllable(dice) if dice.random() < 0.9 else np.zeros(round(0.3 * RATE)))  # noqa: PLR2004
        made += len(pieces[-1])
    return (_LOUD * np.concatenate(pieces)[: round(seconds * RATE)]).astype(np.int16)


def _syllable(dice: np.random.Generator) -> NDArray[np.float64]:
    moments = np.arange(round(dice.uniform(0.12, 0.25) * RATE)) / RATE
    harmonics = 130.0 * np.arange(1, 30)
    weights = 1 / (1 + ((harmonics - dice.uniform(300, 1_000)) / 150) ** 2)
    wave: NDArray[np.float64] = (weights[:, None] * np.sin(2 * np.pi * harmonics[:, None] * moments)).sum(axis=0)
    swell = np.sin(np.pi * np.arange(len(moments)) / len(moments)) ** 2
    wave *= swell * dice.uniform(0.5, 1.0) / np.abs(wave).max()
    return wave
