"""Portraits for tests, and a measure that tells whether a received picture shows one of them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image

SAME_WITHIN = 0.05
"""Distances below this are the same picture after a video codec; other pictures lie well beyond."""
_GRID = 48


@dataclass(frozen=True, kw_only=True)
class PortraitFile:
    """A portrait on disk, and its pixels."""

    path: Path
    sha256: str
    pixels: NDArray[np.uint8]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.pixels.shape[1], self.pixels.shape[0]


def astronaut(width: int = 1280, height: int = 960) -> NDArray[np.uint8]:
    """Eileen Collins, cropped around her face and scaled to a size."""
    return _scaled(skimage.data.astronaut()[0:384, 0:512], width, height)


def _scaled(picture: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(picture).convert("RGB").resize((width, height), Image.Resampling.LANCZOS))


def save_portrait(folder: Path, width: int = 1280, height: int = 960) -> PortraitFile:
    """The astronaut as a JPEG of this size."""
    path = folder / f"astronaut-{width}x{height}.jpg"
    Image.fromarray(astronaut(width, height)).save(path, quality=92)
    pixels = np.asarray(Image.open(path).convert("RGB"))
    return PortraitFile(path=path, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), pixels=pixels)


def picture_distance(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """How different two pictures are, 0..1: the mean difference of their colours on a coarse grid.

    Coarse, so that a codec's noise does not count; in colour, so that swapped channels do.
    """
    a, b = (_scaled(picture, _GRID, _GRID).astype(np.float64) / 255 for picture in (one, other))
    return float(np.abs(a - b).mean())
