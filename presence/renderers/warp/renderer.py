"""The 2D warp as a renderer: hears, moves, draws; it holds no clock, every moment is a frame's index."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from presence.renderers.base import AvatarState, Pixels, Samples
from presence.renderers.warp.bank import VERSION, Bank, build_bank, read_bank, write_bank
from presence.renderers.warp.canvas import Canvas
from presence.renderers.warp.geometry import face_from
from presence.renderers.warp.head import Head
from presence.renderers.warp.hearing import RATE, TICK, Hearing
from presence.renderers.warp.motion import Motion, Pose
from presence.renderers.warp.mouth import Mouth, MouthPose

FULL = 0.78
"""Openness of the widest mouth that speech gives: wider reads as a shout."""
GENTLE = 0.35
"""Share of that on a portrait of quality 0."""


@dataclass(frozen=True, kw_only=True)
class WarpAssets:
    """One portrait's bank and what is computed from it, read-only and shared by its tracks."""

    bank: Bank
    mouth: Mouth
    head: Head

    @property
    def quality(self) -> float:
        """0..1: how natural the mouth's movements look on this portrait."""
        return self.bank.fit.quality


@dataclass(frozen=True, kw_only=True)
class _Job:
    canvas: Canvas
    pose: Pose
    mouth: MouthPose
    out: Pixels


class WarpTrack:
    """One avatar that talks, listens and waits."""

    def __init__(self, assets: WarpAssets, seed: int) -> None:
        self._assets, self._seed = assets, seed
        self._canvas = Canvas(assets.bank, assets.mouth, assets.head)
        self._strength = FULL * (GENTLE + (1 - GENTLE) * assets.quality)
        self._hearing, self._motion, self._index, self._now = Hearing(), Motion(seed), -1, 0.0

    def job(self, pcm: Samples, frame_index: int, state: AvatarState, out: Pixels) -> _Job:
        """The pose of this frame. A frame lasts as long as its window of sound."""
        if out.shape != self._assets.bank.portrait.shape:
            raise ValueError(f"the picture has shape {out.shape}, the portrait {self._assets.bank.portrait.shape}")
        seconds = (pcm.size / RATE or TICK) * max(frame_index - self._index, 1)
        self._index = frame_index
        self._now += seconds
        heard = self._hearing.hear(pcm, seconds)
        pose = self._motion.step(self._now, seconds, state, heard.openness)
        mouth = MouthPose(openness=heard.openness * self._strength, width=heard.width * self._strength)
        return _Job(canvas=self._canvas, pose=pose, mouth=mouth, out=out)

    def reset(self) -> None:
        """Forget all sound and begin the seed's movements anew."""
        self._hearing, self._motion, self._index, self._now = Hearing(), Motion(self._seed), -1, 0.0


class WarpRenderer:
    """Makes one portrait talk. Preparing takes tens of milliseconds, so a join may do it where nobody did before."""

    bank_version = VERSION

    def prepare(self, image: Pixels, keypoints: NDArray[np.float32], out_dir: Path) -> None:
        """Write the bank: about 2 MB for 1280x960. ValueError for keypoints of no face."""
        write_bank(build_bank(image, keypoints), out_dir)

    def load(self, asset_dir: Path) -> WarpAssets:
        """The bank; OSError where there is none, ValueError where it is damaged or of another version."""
        bank = read_bank(asset_dir)
        face = face_from(np.array(bank.fit.keypoints, np.float32))
        return WarpAssets(
            bank=bank,
            mouth=Mouth(bank.portrait, face, bank.line),
            head=Head(face, (bank.fit.height, bank.fit.width)),
        )

    def open(self, assets: WarpAssets, seed: int) -> WarpTrack:
        """A track that moves as the seed says."""
        return WarpTrack(assets, seed)

    def render_batch(self, jobs: Sequence[_Job]) -> None:
        """Draw each job's pose."""
        for job in jobs:
            job.canvas.draw(job.pose, job.mouth, job.out)
