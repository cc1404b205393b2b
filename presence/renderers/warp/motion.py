"""What a face does by itself: breathing, swaying, nodding, blinking; every moment follows from the seed."""

import math
from dataclasses import dataclass

import numpy as np

from presence.renderers.base import AvatarState
from presence.renderers.warp.head import HeadPose

BREATHS = 0.24
"""Breaths a second."""
BLINK_SECONDS = 0.22
BLINK_DOWN, BLINK_SHUT = 0.36, 0.64
"""Shares of a blink at which the lid is down, and at which it rises: closed for 60 ms."""
TWICE = 0.12
"""How often a second blink follows at once."""
SETTLE = 0.55
"""Seconds in which a change of what the avatar does becomes visible, mostly."""
NOD_SECONDS = 0.9


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How lively an avatar is while it does something."""

    sway: float
    blink_every: tuple[float, float]
    """Least and most seconds between blinks."""
    tilt: float = 0.0
    """Radians to one side; the seed says which."""
    lean: float = 0.0
    """How much nearer it comes."""
    nod_every: tuple[float, float] | None = None


MANNERS = {
    AvatarState.IDLE: Manner(sway=0.65, blink_every=(2.4, 5.5)),
    AvatarState.LISTENING: Manner(sway=0.7, blink_every=(2.0, 4.2), tilt=0.020, lean=0.008, nod_every=(2.8, 6.0)),
    AvatarState.SPEAKING: Manner(sway=1.15, blink_every=(2.2, 5.0), lean=0.003),
}


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Head and lids at a moment."""

    head: HeadPose
    lids: float
    """0 open, 1 closed."""


class Motion:
    """One track's movements. Time only grows; it may leap."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._phases = self._random.uniform(0, 2 * math.pi, 10)
        self._side = 1.0 if self._random.random() < 0.5 else -1.0  # noqa: PLR2004 - a coin
        self._sway = MANNERS[AvatarState.IDLE].sway
        self._tilt = self._lean = self._stress = 0.0
        self._blink_at = float(self._random.uniform(0.8, 3.0))
        self._nod_at = math.inf

    def step(self, now: float, seconds: float, state: AvatarState, openness: float) -> Pose:
        """The pose at `now`, `seconds` after the one before, while the mouth is open by 0..1."""
        manner = MANNERS[state]
        share = 1 - math.exp(-seconds / SETTLE)
        self._sway += share * (manner.sway - self._sway)
        self._tilt += share * (self._side * manner.tilt - self._tilt)
        self._lean += share * (manner.lean - self._lean)
        self._stress += (1 - math.exp(-seconds / 0.22)) * (openness - self._stress)
        return Pose(head=self._head(now, self._nod(now, manner)), lids=self._blink(now, manner))

    def _head(self, now: float, nod: float) -> HeadPose:
        def wave(hertz: float, index: int) -> float:
            return math.sin(2 * math.pi * hertz * now + self._phases[index])

        sway, breath = self._sway, wave(BREATHS, 0)
        return HeadPose(
            across=sway * (0.016 * wave(0.084, 1) + 0.009 * wave(0.19, 2)),
            down=0.008 * breath + sway * 0.007 * wave(0.27, 3) + 0.018 * self._stress + 0.02 * nod,
            roll=self._tilt + sway * (0.009 * wave(0.097, 4) + 0.005 * wave(0.21, 5)),
            zoom=self._lean + 0.003 * breath + 0.005 * self._stress,
            turn=sway * (0.018 * wave(0.11, 6) + 0.010 * wave(0.31, 7)),
            nod=sway * 0.010 * wave(0.23, 8) + 0.016 * self._stress + 0.028 * nod,
        )

    def _nod(self, now: float, manner: Manner) -> float:
        """0..1: a small double nod, the second half as deep, where the manner has any."""
        if manner.nod_every is None:
            self._nod_at = math.inf
            return 0.0
        if self._nod_at == math.inf or now >= self._nod_at + NOD_SECONDS:
            self._nod_at = now + float(self._random.uniform(*manner.nod_every))
        at = (now - self._nod_at) / NOD_SECONDS
        return 0.0 if at < 0 else math.sin(2 * math.pi * at) ** 2 * (1.0 if at < 0.5 else 0.5)  # noqa: PLR2004

    def _blink(self, now: float, manner: Manner) -> float:
        at = (now - self._blink_at) / BLINK_SECONDS
        if at < 0:
            # A new manner may be more attentive than the one that chose the moment.
            self._blink_at = min(self._blink_at, now + manner.blink_every[1])
            return 0.0
        if at >= 1:
            again = self._random.random() < TWICE
            self._blink_at = now + (0.12 if again else float(self._random.uniform(*manner.blink_every)))
            return 0.0
        return min(at / BLINK_DOWN, 1.0) if at < BLINK_SHUT else (1 - at) / (1 - BLINK_SHUT)
