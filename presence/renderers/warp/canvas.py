"""One track's picture under work: lids and mouth on the resting head, then the head moved; it decides no pose."""

from functools import lru_cache

import numpy as np

from presence.renderers.base import Pixels
from presence.renderers.warp.bank import Bank
from presence.renderers.warp.geometry import Box
from presence.renderers.warp.head import Head, Planes
from presence.renderers.warp.motion import Pose
from presence.renderers.warp.mouth import Mouth, MouthPose

LID_STEPS = (0.2, 0.55, 0.9)
"""From so far down the lids of each level are shown."""
KEPT_BYTES = 16_000_000
"""Of mouths that were drawn: speech comes back to the same shapes, and a copy costs a fiftieth of a drawing."""


class Canvas:
    """Draws one portrait in any pose."""

    def __init__(self, bank: Bank, mouth: Mouth, head: Head) -> None:
        self._bank, self._mouth, self._head = bank, mouth, head
        self._portrait = planes_of(bank.portrait)
        self._still = planes_of(bank.portrait.copy())
        self._dirty: list[Box] = []
        height, width = mouth.box.shape
        self._mouth_patch = lru_cache(maxsize=max(KEPT_BYTES * 2 // (height * width * 3), 1))(mouth.patch)

    def draw(self, pose: Pose, mouth: MouthPose, out: Pixels) -> None:
        """Fill `out`, I420 (height * 3/2, width)."""
        for box in self._dirty:
            for still, whole, where in zip(self._still, self._portrait, _parts(box), strict=True):
                still[where] = whole[where]
        self._dirty = []
        level = sum(pose.lids >= step for step in LID_STEPS)
        if level:
            self._close_lids(level - 1)
        mouth = mouth.rounded()
        if mouth.openness > 0:
            self._mouth.paste(self._mouth_patch(mouth), self._still)
            self._dirty.append(self._mouth.box)
        np.copyto(out, self._bank.portrait)
        self._head.draw(pose.head, self._still, planes_of(out))

    def _close_lids(self, level: int) -> None:
        for lids in self._bank.lids:
            for still, patch, where in zip(self._still, planes_of(lids.patches[level]), _parts(lids.box), strict=True):
                still[where] = patch
            self._dirty.append(lids.box)


def planes_of(i420: Pixels) -> Planes:
    """Y (height, width), U and V (height / 2, width / 2): the same memory."""
    rows, width = i420.shape
    height = rows * 2 // 3
    chroma = i420[height:].reshape(2, height // 2, width // 2)
    return i420[:height], chroma[0], chroma[1]


def _parts(box: Box) -> tuple[tuple[slice, slice], ...]:
    return box.luma, box.chroma, box.chroma
