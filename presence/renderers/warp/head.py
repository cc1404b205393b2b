"""The head's small movements: one smooth displacement over face and hair; the picture's border never moves."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from presence.renderers.warp.geometry import MOUTH_UNIT, Face, Floats, even_box, pixel_grid, ramp

Pixels = NDArray[np.uint8]
Planes = tuple[Pixels, Pixels, Pixels]

HOW: Final = {"interpolation": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REPLICATE}

CELL = 16
"""Displacements are computed for cells of so many pixels: they bend over hundreds."""
ACROSS, UP, DOWN = 2.05, 2.30, 2.45
"""How far the movement reaches from the face's middle, in face units."""
STILL, MOVING = 0.98, 0.42
"""Over that reach: from here on nothing moves, up to here everything."""
BORDER = 0.25
"""Near the picture's border, within so many face units, the movement fades."""
DEPTH = 0.8
"""Width of the part that comes forward when the head turns: nose and cheeks move more than ears."""


@dataclass(frozen=True, kw_only=True)
class HeadPose:
    """How a head is held, against the portrait. Lengths are in face units, angles in radians."""

    across: float = 0.0
    down: float = 0.0
    roll: float = 0.0
    """Clockwise as the picture shows it."""
    zoom: float = 0.0
    """0.01 is a hundredth nearer."""
    turn: float = 0.0
    """The nose's way to the right, where the ears stay."""
    nod: float = 0.0
    """The nose's way down."""


class Head:
    """Moves one portrait's head. Read-only after it is made, so tracks share it."""

    def __init__(self, face: Face, size: tuple[int, int]) -> None:
        """`size` is the picture's (height, width)."""
        self._unit = unit = face.unit / MOUTH_UNIT
        x, y = (float(value) for value in (face.left_eye + face.right_eye) * 0.3 + face.mouth * 0.4)
        self.box = even_box(x - ACROSS * unit, y - UP * unit, x + ACROSS * unit, y + DOWN * unit, size=size)
        """What may move."""
        # One more cell all around, so that interpolation never runs out at the box's edge.
        columns, rows = pixel_grid(self.box, CELL)
        columns, rows = (np.pad(grid, 1, mode="reflect", reflect_type="odd") for grid in (columns, rows))
        high = np.where(rows < y, UP, DOWN)
        far = np.hypot((columns - x) / (ACROSS * unit), (rows - y) / (high * unit))
        edge = np.minimum(np.minimum(columns, size[1] - 1 - columns), np.minimum(rows, size[0] - 1 - rows))
        weight = ((1 - ramp(far, MOVING, STILL)) * ramp(edge, 0, BORDER * unit)).astype(np.float32)
        middle = np.hypot((columns - float(face.nose[0])) / unit, (rows - float(face.nose[1])) / unit)
        self._rest = np.dstack([columns - self.box.left, rows - self.box.top]).astype(np.float32)
        self._weight = weight
        self._forward = (np.exp(-((middle / DEPTH) ** 2)) * weight).astype(np.float32)
        self._away_x, self._away_y = weight * (columns - np.float32(x)), weight * (rows - np.float32(y))

    def draw(self, pose: HeadPose, still: Planes, out: Planes) -> None:
        """Write the box of planes Y, U and V: what `still` shows, moved."""
        cells = self._cells(pose)
        luma, chroma = self.box.luma, self.box.chroma
        cv2.remap(still[0][luma], _enlarged(cells, CELL, self.box.shape), None, dst=out[0][luma], **HOW)  # type: ignore[call-overload]
        half = _enlarged((cells - np.float32(0.5)) / 2, CELL // 2, (self.box.shape[0] // 2, self.box.shape[1] // 2))
        for source, target in zip(still[1:], out[1:], strict=True):
            cv2.remap(source[chroma], half, None, dst=target[chroma], **HOW)  # type: ignore[call-overload]

    def _cells(self, pose: HeadPose) -> Floats:
        """Where each cell's pixels come from (rows, columns, 2), in pixels of the box."""
        unit = np.float32(self._unit)
        cells = self._rest.copy()
        roll, zoom = np.float32(pose.roll), np.float32(pose.zoom)
        cells[..., 0] -= unit * (pose.across * self._weight + pose.turn * self._forward)
        cells[..., 0] += roll * self._away_y - zoom * self._away_x
        cells[..., 1] -= unit * (pose.down * self._weight + pose.nod * self._forward)
        cells[..., 1] -= roll * self._away_x + zoom * self._away_y
        return cells


def _enlarged(cells: Floats, step: int, shape: tuple[int, int]) -> Floats:
    """A place a pixel (height, width, 2) from one a cell, of which there is one more on each side."""
    rows, columns = cells.shape[:2]
    whole = cv2.resize(cells, (columns * step, rows * step), interpolation=cv2.INTER_LINEAR)
    return np.asarray(whole[step : step + shape[0], step : step + shape[1]], np.float32)
