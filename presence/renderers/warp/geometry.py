"""Where things are in a face: axes, units and rectangles from five keypoints; looks at no pixels."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Colour = tuple[float, float, float]

EYES_TO_AXIS = 0.97
"""The eyes' distance over the distance from eyes to mouth in a frontal face. A turned head shortens the former only."""
MOUTH_UNIT = 0.78
"""A resting mouth's width over the face unit. What the jaw does is measured in it: a smile widens no jaw."""
CHIN = 0.92
"""From the mouth to the chin, in mouth units."""


@dataclass(frozen=True, kw_only=True)
class Box:
    """A rectangle of the picture with even sides, for planes of full and half size: left, top, right, bottom."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def luma(self) -> tuple[slice, slice]:
        """Rows and columns in a plane of full size."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def chroma(self) -> tuple[slice, slice]:
        """Rows and columns in a plane of half size."""
        return slice(self.top // 2, self.bottom // 2), slice(self.left // 2, self.right // 2)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.bottom - self.top, self.right - self.left


@dataclass(frozen=True, kw_only=True)
class Face:
    """A face's frame of reference in pixels: left and right as the picture shows them."""

    left_eye: Floats
    right_eye: Floats
    nose: Floats
    mouth: Floats
    """Halfway between its corners."""
    along: Floats
    """Unit vector from the mouth's left corner to its right one."""
    down: Floats
    """Unit vector across it, towards the chin."""
    half_width: float
    """Half the distance of the mouth's corners."""
    eyes: float
    """Distance of the eyes."""
    unit: float
    """The mouth unit."""

    @property
    def yaw(self) -> float:
        """How far the nose lies beside the face's middle, over half the face's width: 0 frontal, 1 in profile."""
        middle = (self.left_eye + self.right_eye) / 4 + self.mouth / 2
        return float((self.nose - middle) @ self.along) / (max(self.eyes, 2 * self.half_width) / 2)

    def mouth_coordinates(self, across: Floats, downward: Floats) -> tuple[Floats, Floats]:
        """Of pixels, u: -1 and 1 at the mouth's corners; and v: in mouth units below the line through them."""
        x, y = across - self.mouth[0], downward - self.mouth[1]
        u = (x * self.along[0] + y * self.along[1]) / np.float32(self.half_width)
        v = (x * self.down[0] + y * self.down[1]) / np.float32(self.unit)
        return u, v

    def mouth_pixels(self, u: Floats, v: Floats) -> Floats:
        """The inverse: pixels (..., 2) of mouth coordinates."""
        points: Floats = self.mouth + u[..., None] * self.half_width * self.along + v[..., None] * self.unit * self.down
        return points


def face_from(keypoints: Floats) -> Face:
    """The frame of five keypoints (5, 2); ValueError where they lie on top of each other or in disorder."""
    left_eye, right_eye, nose, left, right = np.asarray(keypoints, np.float32)
    eyes, width = math.dist(left_eye, right_eye), math.dist(left, right)
    axis = math.dist((left_eye + right_eye) / 2, (left + right) / 2)
    if min(eyes, width, axis) < 8 or right_eye[0] <= left_eye[0] or right[0] <= left[0]:  # noqa: PLR2004 - pixels
        raise ValueError("the keypoints are no face's: eyes or mouth corners are too close together or swapped")
    along = (right - left) / np.float32(width)
    return Face(
        left_eye=left_eye,
        right_eye=right_eye,
        nose=nose,
        mouth=(left + right) / 2,
        along=along,
        down=np.array([-along[1], along[0]], np.float32),
        half_width=width / 2,
        eyes=eyes,
        unit=MOUTH_UNIT * max(eyes, EYES_TO_AXIS * axis),
    )


def even_box(left: float, top: float, right: float, bottom: float, *, size: tuple[int, int]) -> Box:
    """The smallest box with even sides around some numbers, clipped to a picture of (height, width)."""
    height, width = size
    return Box(
        left=max(math.floor(left / 2) * 2, 0),
        top=max(math.floor(top / 2) * 2, 0),
        right=min(math.ceil(right / 2) * 2, width),
        bottom=min(math.ceil(bottom / 2) * 2, height),
    )


def pixel_grid(box: Box, step: int = 1) -> tuple[Floats, Floats]:
    """Columns and rows (height, width) of a box's pixels, or of the middles of its cells of `step` pixels."""
    first = (step - 1) / 2
    height, width = box.shape
    columns = np.arange(-(-width // step), dtype=np.float32) * step + np.float32(box.left + first)
    rows = np.arange(-(-height // step), dtype=np.float32) * step + np.float32(box.top + first)
    across, downward = np.meshgrid(columns, rows)
    return across, downward


def ramp(values: Floats, start: float | Floats, end: float | Floats) -> Floats:
    """0 up to `start`, 1 from `end`, smooth between (3t^2 - 2t^3)."""
    t = np.clip((values - start) / (np.asarray(end, np.float32) - start), 0, 1, dtype=np.float32)
    eased: Floats = t * t * (3 - 2 * t)
    return eased


def yuv_from_rgb(colours: Floats) -> Floats:
    """BT.601 in limited range (..., 3) of RGB 0..255; as presence.pictures, but in floating point."""
    matrix = np.array(
        [[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]], np.float32
    ) / np.float32(255)
    converted: Floats = colours @ matrix.T + np.array([16, 128, 128], np.float32)
    return converted
