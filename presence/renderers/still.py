"""The still renderer: the portrait as it is, whatever is heard; moves nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from presence.pictures import i420_from_rgb
from presence.renderers.base import AvatarState, Pixels, Samples

PORTRAIT = "portrait.i420.npy"


@dataclass(frozen=True)
class _Job:
    portrait: Pixels
    out: Pixels


class StillTrack:
    """The same picture for each frame."""

    def __init__(self, portrait: Pixels) -> None:
        self._portrait = portrait

    def job(self, pcm: Samples, frame_index: int, state: AvatarState, out: Pixels) -> _Job:  # noqa: ARG002
        """Work that copies the portrait into `out`."""
        if out.shape != self._portrait.shape:
            raise ValueError(f"the picture has shape {out.shape}, the portrait {self._portrait.shape}")
        return _Job(self._portrait, out)

    def reset(self) -> None:
        """Nothing to forget."""


class StillRenderer:
    """Converts the portrait once and copies it ever after."""

    bank_version = None
    """To read what it prepares takes as long as to prepare it."""

    def prepare(self, image: Pixels, keypoints: NDArray[np.float32], out_dir: Path) -> None:  # noqa: ARG002
        """Write the portrait as I420."""
        np.save(out_dir / PORTRAIT, i420_from_rgb(image), allow_pickle=False)

    def load(self, asset_dir: Path) -> Pixels:
        """The portrait as I420 (height * 3/2, width), read-only."""
        portrait: Pixels = np.load(asset_dir / PORTRAIT, allow_pickle=False)
        portrait.flags.writeable = False
        return portrait

    def open(self, assets: Pixels, seed: int) -> StillTrack:  # noqa: ARG002
        """A track that shows the portrait."""
        return StillTrack(assets)

    def render_batch(self, jobs: Sequence[_Job]) -> None:
        """Copy each job's portrait."""
        for job in jobs:
            np.copyto(job.out, job.portrait)
