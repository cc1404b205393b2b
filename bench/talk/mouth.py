"""How far a mouth is open in a received picture, by what moves with the voice; needs to know no face."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Small = NDArray[np.float32]

SMALL = (160, 120)
"""Width and height to which pictures are reduced."""
OPEN = 0.35
"""From here on a mouth counts as open; 0 is at rest and 1 is as wide as the tone opens it."""
_SHARE = 0.3
"""Where a picture changes less than this share of the most, it is no mouth."""


def small(frame: Any) -> Small:
    """The luma of an I420 frame, reduced."""
    luma = np.frombuffer(frame.data, np.uint8, count=frame.width * frame.height).reshape(frame.height, frame.width)
    return np.asarray(cv2.resize(luma, SMALL, interpolation=cv2.INTER_AREA), np.float32)


@dataclass(frozen=True, kw_only=True)
class MouthScale:
    """A picture's openness: its difference from rest, along the difference that speaking makes."""

    rest: Small
    along: Small

    def openness(self, picture: Small) -> float:
        """About 0 at rest and about 1 while the tone is spoken that the scale was made with."""
        return float(((picture - self.rest) * self.along).sum() / (self.along**2).sum())


def make_scale(resting: Sequence[Small], speaking: Sequence[Small]) -> MouthScale:
    """The scale of one avatar. ValueError where it does not tell the two apart."""
    rest: Small = np.stack(resting).mean(axis=0)
    along: Small = np.stack(speaking).mean(axis=0) - rest
    if not along.any():
        raise ValueError("at rest and speaking the avatar looks the same")
    along[np.abs(along) < _SHARE * np.abs(along).max()] = 0
    scale = MouthScale(rest=rest, along=along)
    highest = max(scale.openness(picture) for picture in resting)
    lowest = sorted(scale.openness(picture) for picture in speaking)[len(speaking) // 10]
    if not highest < OPEN < lowest:
        raise ValueError(f"at rest the mouth is open by up to {highest:.2f}, speaking by only {lowest:.2f}")
    return scale
