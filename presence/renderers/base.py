"""What a renderer is: a structural interface over plain arrays, so that a plug-in needs no import from here."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Samples = NDArray[np.float32]


class AvatarState(StrEnum):
    """What the avatar is doing while a frame is shown."""

    IDLE = "idle"
    LISTENING = "listening"
    SPEAKING = "speaking"


class Track(Protocol):
    """One avatar in one session."""

    def job(self, pcm: Samples, frame_index: int, state: AvatarState, out: Pixels) -> Any:
        """Work for `render_batch`: the frame that goes with a window of sound.

        `pcm` is mono at 48 kHz in -1..1, the samples that play while the frame is shown. `out` is I420, (height * 3/2,
        width), and is written by `render_batch` only. Frame indices grow, but may skip.
        """

    def reset(self) -> None:
        """Back to the first frame's state: the same jobs give the same pictures again."""


class Renderer(Protocol):
    """Makes pictures of avatars. `prepare` runs once per portrait, `load` once per process, `open` per session.

    What `prepare` wrote is stored with the avatar, and used as long as the attribute `bank_version` (any text or
    number, 1 where there is none) is the same. A renderer whose `bank_version` is None prepares at each join instead.
    """

    def prepare(self, image: Pixels, keypoints: NDArray[np.float32], out_dir: Path) -> None:
        """Write what `load` needs. Slow, offline, deterministic.

        `image` is RGB (height, width, 3) with even sides; `keypoints` (5, 2) are left eye, right eye, nose and mouth
        corners in pixels.
        """

    def load(self, asset_dir: Path) -> Any:
        """What `prepare` wrote, read-only and shared by every track. Keeps nothing open in the folder."""

    def open(self, assets: Any, seed: int) -> Track:
        """A track for one session; the seed decides whatever is random in it."""

    def render_batch(self, jobs: Sequence[Any]) -> None:
        """Fill the `out` of each job. Called by one thread at a time, with jobs of one or many tracks."""
