"""How is a portrait cut from its source? Searches zoom and shift for the frame that the source covers best."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from adapters.image_pixels import Affine, Box, invert, map_points, scale_of, similarity
from domain.face_measures import Keypoints, face_unit, middle, roll_of
from domain.portraits import Framing

Numbers = npt.NDArray[np.float64]

LEVEL_FROM = 5.0
"""Degrees of roll from which the eyes are levelled; less looks natural, and turning would uncover corners."""

ZOOMS = (1.0, 1.08, 1.16, 1.25, 1.35, 1.45, 1.6)
LARGEST_UNIT = 0.19
"""Face unit over the frame's height up to which the search may zoom in."""

DOWN = (0.0, 0.03, -0.03, 0.06, -0.06, 0.09, -0.09, -0.12, 0.12)
"""Shifts of the eye line over the frame's height. Of equal costs the first wins, so nought comes first."""

ACROSS = (0.0, 0.03, -0.03, 0.06, -0.06)
"""Shifts over the frame's width."""

CROWN_UNITS, CROWN_ROOM = 1.75, 0.03
"""The hair ends about 1.75 face units above the eyes; this much of the frame's height should be left above it."""

SAMPLES = 13
"""Points a side at which a frame is tested for being covered."""

HALF_PIXEL = 0.5
"""Whole numbers are centres of pixels, so a picture ends half a pixel further."""

COST_UNCOVERED, COST_BOTTOM, COST_ZOOM, COST_DOWN, COST_ACROSS, COST_CROWN = 6.0, 4.0, 0.35, 0.8, 1.5, 20.0
"""The bottom row counts beside the area: a body that hovers looks worse than a wall that is made up."""


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A chosen frame."""

    transform: Affine
    """From pixels of the source to pixels of the frame."""
    zoom: float
    uncovered: float
    """Share of the frame's area beyond the source's edge, at the resolution of the search."""
    box: Box | None
    """The source's part that it shows, where the frame is upright."""


def search_cut(keypoints: Keypoints, framing: Framing, width: int, height: int) -> Cut:
    """The cheapest of 315 frames for a face in a source of `width` x `height` pixels."""
    zoom, across, down = candidates()
    degrees = roll_of(keypoints)
    degrees = degrees if abs(degrees) > LEVEL_FROM else 0.0
    source = centre_of(keypoints, degrees)
    scale = framing.unit * framing.height / max(face_unit(keypoints), 1.0)
    target = np.stack([framing.width * (0.5 + across), framing.height * (framing.eye_line + down)], axis=-1)

    # Row vectors times the turn are turned back: (R^-1 q)^T = q^T R.
    samples = source + (sample_grid(framing) - target[:, None]) @ rotation(degrees) / (scale * zoom)[:, None, None]
    uncovered, bottom = uncovered_shares(samples, width, height)
    crown = framing.eye_line + down - CROWN_UNITS * framing.unit * zoom
    cost = (
        COST_UNCOVERED * uncovered
        + COST_BOTTOM * bottom
        + COST_ZOOM * (zoom - 1)
        + COST_DOWN * np.abs(down)
        + COST_ACROSS * np.abs(across)
        + COST_CROWN * np.maximum(CROWN_ROOM - crown, 0)
    )
    cost[(zoom > 1) & (framing.unit * zoom > LARGEST_UNIT)] = np.inf
    best = int(np.argmin(cost))
    transform = similarity(scale=scale * float(zoom[best]), degrees=degrees, source=source, target=target[best])
    box = None
    if degrees == 0:
        box, transform = whole_pixels(transform, framing)
    return Cut(transform=transform, zoom=float(zoom[best]), uncovered=float(uncovered[best]), box=box)


def whole_pixels(transform: Affine, framing: Framing) -> tuple[Box, Affine]:
    """The upright frame moved and stretched, by less than a source pixel at each side, onto whole source pixels."""
    edges = [(-HALF_PIXEL, -HALF_PIXEL), (framing.width - HALF_PIXEL, framing.height - HALF_PIXEL)]
    corners = map_points(invert(transform), edges) + HALF_PIXEL
    (left, top), (right, bottom) = np.rint(corners).astype(int).tolist()
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    across, down = framing.width / (right - left), framing.height / (bottom - top)
    # A source pixel's edge at `left` is the frame's edge, half a pixel before the centre of its first one.
    moved = [[across, 0, across * (HALF_PIXEL - left) - HALF_PIXEL], [0, down, down * (HALF_PIXEL - top) - HALF_PIXEL]]
    return (left, top, right, bottom), np.array(moved)


def candidates() -> tuple[Numbers, Numbers, Numbers]:
    """Zoom, shift across and shift down of every frame that is tried."""
    zoom, down, across = np.meshgrid(ZOOMS, DOWN, ACROSS, indexing="ij")
    return zoom.ravel(), across.ravel(), down.ravel()


def centre_of(keypoints: Keypoints, degrees: float) -> Numbers:
    """The source point that goes to the middle of the eye line: as high as the eyes, and halfway to the mouth's axis.

    Both are meant in the levelled picture. Halfway to the mouth is steadier under yaw than the eyes alone.
    """
    turn = rotation(degrees)
    eyes = turn @ np.asarray(middle(keypoints[0], keypoints[1]))
    mouth = turn @ np.asarray(middle(keypoints[3], keypoints[4]))
    return np.asarray(turn.T @ np.array([(eyes[0] + mouth[0]) / 2, eyes[1]]), np.float64)


def rotation(degrees: float) -> Numbers:
    """The 2 x 2 matrix that levels eyes which roll by `degrees`."""
    return similarity(scale=1.0, degrees=degrees, source=(0, 0), target=(0, 0))[:, :2]


def sample_grid(framing: Framing) -> Numbers:
    """Points of a frame at which its cover is tested, row by row; samples x 2."""
    across, down = np.meshgrid(np.linspace(0, framing.width - 1, SAMPLES), np.linspace(0, framing.height - 1, SAMPLES))
    return np.stack([across, down], axis=-1).reshape(-1, 2)


def uncovered_shares(samples: Numbers, width: int, height: int) -> tuple[Numbers, Numbers]:
    """Shares of each frame's samples (frames x samples x 2) and of its bottom row that lie beyond the source."""
    least, most = -HALF_PIXEL, np.array([width, height]) - HALF_PIXEL
    outside = ((samples < least) | (samples > most)).any(axis=-1)
    return outside.mean(axis=1), outside.reshape(-1, SAMPLES, SAMPLES)[:, -1].mean(axis=1)


def overhang(transform: Affine, framing: Framing, width: int, height: int) -> float:
    """By how many pixels of the frame it reaches beyond the source's edge; 0 where the source covers it all."""
    corners = [(0, 0), (framing.width - 1, 0), (0, framing.height - 1), (framing.width - 1, framing.height - 1)]
    points = map_points(invert(transform), corners)
    beyond = np.maximum(-HALF_PIXEL - points, points - (np.array([width, height]) - HALF_PIXEL))
    return max(float(beyond.max()), 0.0) * scale_of(transform)
