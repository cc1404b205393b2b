"""A frame counter in the picture's corner, over any renderer: it tells a fresh frame from a frozen one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from presence.renderers.base import AvatarState, Pixels, Renderer, Samples, Track

BITS: Final = 16
BLOCK: Final = 16
"""Side of a square in pixels: a macroblock, so that the encoder does not smear one bit into the next."""
WIDTH: Final = (BITS + 1) * BLOCK
_BLACK, _WHITE, _NEUTRAL = 16, 235, 128
_SURE_BLACK, _SURE_WHITE = 80, 170


def write_marker(i420: Pixels, index: int) -> None:
    """Stamp a frame index, its low 16 bits and a bit of odd parity, into I420 (height * 3/2, width)."""
    height, width = i420.shape[0] * 2 // 3, i420.shape[1]
    bits = [index >> shift & 1 for shift in range(BITS - 1, -1, -1)]
    bits.append(1 - sum(bits) % 2)
    row = np.repeat(np.where(bits, _WHITE, _BLACK).astype(np.uint8), BLOCK)
    i420[:BLOCK, :WIDTH] = row
    chroma = i420[height:].reshape(2, height // 2, width // 2)
    chroma[:, : BLOCK // 2, : WIDTH // 2] = _NEUTRAL


def read_marker(y_plane: Pixels) -> int | None:
    """The frame index modulo 65536 of a luma plane (height, width); None if there is no marker or it is damaged."""
    height, width = y_plane.shape
    if height < BLOCK or width < WIDTH:
        return None
    blocks = y_plane[:BLOCK, :WIDTH].reshape(BLOCK, BITS + 1, BLOCK)
    means = blocks[4:-4, :, 4:-4].mean(axis=(0, 2))  # the edges of a square are blurred
    if np.any((means > _SURE_BLACK) & (means < _SURE_WHITE)):
        return None
    bits = [int(mean >= _SURE_WHITE) for mean in means]
    if sum(bits) % 2 == 0:
        return None
    return int("".join(map(str, bits[:BITS])), 2)


@dataclass(frozen=True)
class _Job:
    inner: Any
    index: int
    out: Pixels


class MarkedTrack:
    """Another track whose frames are stamped."""

    def __init__(self, inner: Track) -> None:
        self._inner = inner

    def job(self, pcm: Samples, frame_index: int, state: AvatarState, out: Pixels) -> _Job:
        """The other track's work, and the stamp."""
        return _Job(self._inner.job(pcm, frame_index, state, out), frame_index, out)

    def reset(self) -> None:
        """Reset the other track."""
        self._inner.reset()


class MarkedRenderer:
    """Another renderer whose frames are stamped."""

    def __init__(self, inner: Renderer) -> None:
        self._inner = inner

    def prepare(self, image: Pixels, keypoints: NDArray[np.float32], out_dir: Path) -> None:
        """As the other renderer."""
        self._inner.prepare(image, keypoints, out_dir)

    def load(self, asset_dir: Path) -> Any:
        """As the other renderer."""
        return self._inner.load(asset_dir)

    def open(self, assets: Any, seed: int) -> MarkedTrack:
        """The other renderer's track, stamped."""
        return MarkedTrack(self._inner.open(assets, seed))

    def render_batch(self, jobs: Sequence[_Job]) -> None:
        """Render, then stamp."""
        self._inner.render_batch([job.inner for job in jobs])
        for job in jobs:
            write_marker(job.out, job.index)
