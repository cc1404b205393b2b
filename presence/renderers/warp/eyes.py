"""Eyelids that the portrait does not show, painted from the skin around the eye; decides nothing about when."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from presence.pictures import i420_from_rgb
from presence.renderers.warp.geometry import Box, Face, Floats, even_box, pixel_grid, ramp

Pixels = NDArray[np.uint8]

LEVELS = (0.35, 0.7, 1.0)
"""How far the lid is down in the painted patches."""

HALF_WIDTH = 0.22
"""From the pupil to a corner of the eye, over the eyes' distance, in a frontal face ..."""
FAR, NEAR = 0.9, 0.3
"""... and by how much of the yaw it shrinks in the eye that is turned away, and grows in the other."""
UP, DOWN = (0.065, 0.115), (0.055, 0.085)
"""Least and largest distance from the pupil to the lids, over the eyes' distance."""
IRIS = 0.05
SEARCH, PULL = 0.1, 25.0
"""A place so far from the keypoint must be so many grey levels darker to be taken for the pupil."""
LASHES = 0.05
"""The skin begins so far beyond the lids: lashes must not stain it."""
REACH = (0.34, 0.26, 0.22)
"""Of a patch from the pupil, over the eyes' distance: sideways, up, down."""
GRAIN = 0.7
"""How much of the cheek's texture the lid takes."""
FRINGE, FRINGE_SOLID = 0.017, 0.62
"""The lashes along the lid's edge: thickness over the eyes' distance, and strength."""


@dataclass(frozen=True, kw_only=True)
class EyeShape:
    """An open eye in pixels."""

    x: float
    y: float
    """The pupil."""
    half_width: float
    up: float
    """From the pupil to the upper lid."""
    down: float
    """From the pupil to the lower lid."""


@dataclass(frozen=True, kw_only=True)
class Lids:
    """One eye's patches."""

    box: Box
    patches: Pixels
    """I420 (levels, height * 3/2, width), by LEVELS."""


def paint_lids(image: Pixels, face: Face) -> tuple[Lids, ...]:
    """Both eyes' lids of an RGB picture (height, width, 3)."""
    return tuple(_paint(image, face, shape) for shape in find_eyes(image, face))


def find_eyes(image: Pixels, face: Face) -> tuple[EyeShape, EyeShape]:
    """Both eyes, measured by how dark they are."""
    turned = float(np.clip(face.yaw, -0.6, 0.6))
    # The nose points to the eye that is turned away.
    left, right = (1 + abs(turned) * (-FAR if side * turned > 0 else NEAR) for side in (-1, 1))
    return (
        _find_eye(image, face.left_eye, face.eyes, HALF_WIDTH * left),
        _find_eye(image, face.right_eye, face.eyes, HALF_WIDTH * right),
    )


def _find_eye(image: Pixels, near: Floats, eyes: float, half_width: float) -> EyeShape:
    box = even_box(*(near - 0.3 * eyes), *(near + 0.3 * eyes), size=image.shape[:2])
    luma = cv2.cvtColor(image[box.luma], cv2.COLOR_RGB2GRAY).astype(np.float32)
    across, downward = pixel_grid(box)
    distance = np.hypot(across - near[0], downward - near[1]) / np.float32(SEARCH * eyes)
    # Blurred as wide as an iris, the picture is darkest in the iris's middle.
    cost = np.asarray(cv2.GaussianBlur(luma, (0, 0), 0.6 * IRIS * eyes)) + PULL * distance**2
    row, column = np.unravel_index(int(cost.argmin()), cost.shape)
    up, down = _find_lids(np.asarray(cv2.GaussianBlur(luma, (0, 0), 0.015 * eyes)), int(column), int(row), eyes)
    x, y = float(column) + box.left, float(row) + box.top
    return EyeShape(x=x, y=y, half_width=half_width * eyes, up=up, down=down)


def _find_lids(luma: Floats, x: int, y: int, eyes: float) -> tuple[float, float]:
    """How far it is dark above and below the pupil, in pixels."""
    half = max(int(IRIS * 0.6 * eyes), 1)
    column = luma[:, max(x - half, 0) : x + half + 1].mean(axis=1)
    limit = (float(column[y]) + float(np.median(luma))) / 2
    bright_above = np.flatnonzero(column[:y][::-1] > limit)
    bright_below = np.flatnonzero(column[y:] > limit)
    up = float(bright_above[0]) if bright_above.size else UP[1] * eyes
    down = float(bright_below[0]) if bright_below.size else DOWN[1] * eyes
    return float(np.clip(up, UP[0] * eyes, UP[1] * eyes)), float(np.clip(down, DOWN[0] * eyes, DOWN[1] * eyes))


def _paint(image: Pixels, face: Face, eye: EyeShape) -> Lids:
    sides, above, below = (reach * face.eyes for reach in REACH)
    box = even_box(eye.x - sides, eye.y - above, eye.x + sides, eye.y + below, size=image.shape[:2])
    picture = image[box.luma].astype(np.float32)
    x, y = _coordinates(box, face, eye)
    arch = np.clip(1 - x * x, 0, 1)
    upper, lower = -eye.up * np.sqrt(arch) * (0.4 + 0.6 * arch), eye.down * np.sqrt(arch)
    margin = LASHES * face.eyes
    # Wider than the eye: what lies below the lashes is eye, or its shadow.
    opening = (np.abs(x) < 1.25) & (y > upper - margin) & (y < lower + 0.6 * margin)  # noqa: PLR2004
    skin = _skin(picture, opening, face.eyes) + _grain(image, box, face)
    dark = np.quantile(picture[opening], 0.06, axis=0) if opening.any() else np.zeros(3)
    patches = [
        _lid(picture, skin, dark.astype(np.float32), level, geometry=(x, y, upper, lower), eyes=face.eyes)
        for level in LEVELS
    ]
    return Lids(box=box, patches=np.stack(patches))


def _coordinates(box: Box, face: Face, eye: EyeShape) -> tuple[Floats, Floats]:
    """Along the line of the eyes, -1 and 1 at the corners; and across it in pixels."""
    line = (face.right_eye - face.left_eye) / np.float32(face.eyes)
    across, downward = pixel_grid(box)
    dx, dy = across - np.float32(eye.x), downward - np.float32(eye.y)
    return (dx * line[0] + dy * line[1]) / np.float32(eye.half_width), dy * line[0] - dx * line[1]


def _skin(picture: Floats, opening: NDArray[np.bool_], eyes: float) -> Floats:
    """The picture with the opening filled from around it, smoothly."""
    outside = (~opening).astype(np.float32)
    fill = np.zeros_like(picture)
    total = np.zeros_like(outside)
    # Near things count more; the wide blur reaches the middle.
    for sigma, share in ((0.035, 1.0), (0.09, 0.05), (0.2, 0.002)):
        fill += share * np.asarray(cv2.GaussianBlur(picture * outside[..., None], (0, 0), sigma * eyes))
        total += share * np.asarray(cv2.GaussianBlur(outside, (0, 0), sigma * eyes))
    return fill / np.maximum(total, 1e-6)[..., None]


def _grain(image: Pixels, box: Box, face: Face) -> Floats:
    """The fine texture of the skin below the eye, as large as the box; zero where the picture ends."""
    shift = round(0.36 * face.eyes)
    height, width = box.shape
    below = image[box.top + shift : box.bottom + shift, box.left : box.right].astype(np.float32)
    if below.shape[:2] != (height, width):
        return np.zeros((height, width, 3), np.float32)
    rough = below - np.asarray(cv2.GaussianBlur(below, (0, 0), 0.018 * face.eyes))
    texture: Floats = np.clip(GRAIN * rough, -9, 9)
    return texture


def _lid(
    picture: Floats,
    skin: Floats,
    dark: Floats,
    level: float,
    *,
    geometry: tuple[Floats, Floats, Floats, Floats],
    eyes: float,
) -> Pixels:
    """The patch of one level: skin from the crease to the lid's edge, with lashes along it."""
    x, y, upper, lower = geometry
    edge = upper + (lower - upper) * level
    soft = 0.012 * eyes
    inside = 1 - ramp(np.abs(x), 1.05, 1.3)
    # The closed lid hides what little of the eye lies below its edge, too: the fit is not that exact.
    end = edge + (0.03 * eyes if level == 1 else 0)
    cover = ramp(y, upper - 0.065 * eyes, upper - 0.03 * eyes) * (1 - ramp(y, end - soft, end + soft)) * inside
    # A closed lid is a ball: light in its middle, darker towards the crease.
    height = np.clip((y - upper) / np.maximum(edge - upper, 1.0), 0, 1)
    shade = 0.93 + 0.11 * np.sin(np.pi * (0.15 + 0.7 * height))
    lid = picture + (skin * shade[..., None] - picture) * cover[..., None]
    fringe = np.exp(-(((y - edge) / (FRINGE * eyes)) ** 2)) * np.sqrt(np.clip(1 - x * x, 0, 1))
    lid += (dark - lid) * (FRINGE_SOLID * fringe)[..., None]
    return i420_from_rgb(np.clip(lid + 0.5, 0, 255).astype(np.uint8))
