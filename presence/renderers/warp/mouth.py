"""The mouth in motion: lips and jaw by displacement, teeth and tongue by paint; knows no sound and no time."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from presence.renderers.warp.geometry import CHIN, Box, Face, Floats, even_box, pixel_grid, ramp
from presence.renderers.warp.lips import LipLine
from presence.renderers.warp.paints import Paints

Pixels = NDArray[np.uint8]
Patch = tuple[Pixels, Pixels, Pixels]

PARTS_FROM = 0.3
"""Below this quality the lips stay shut and the jaw alone moves: lips that part in a wrong place look grim."""
CELL = 0.042
"""Displacements are computed for cells of this side in mouth units, and interpolated: they are smooth, but for the
line between the lips."""

DROP, LIFT, JAW = 0.30, 0.05, 0.21
"""Mouth units at the widest: the lower lip's way down, the upper lip's way up, the chin's way down."""
JAW_RAMP = 0.55
"""Over so many units the lower lip's way becomes the chin's: shorter, and the chin smears."""
NECK = 0.62
"""Below the chin, over so many units, the skin comes to rest."""
WIDER, NARROWER, OPEN_NARROWS = 0.10, 0.22, 0.06
"""How much the corners move: for "ee", for "oo", and by opening."""
SMILE_STIFF = 0.5
"""A smile's corners move less, its gap is narrower than the row of its teeth, and its lower lip starts further down."""
SMILE_NARROW = 0.80
UPPER_INSET = 0.03
"""The opened upper lip's edge shows what lies so far above the line: the line itself is the closed lips' shadow."""

OPENNESSES, WIDTHS = 40, 8
"""Steps from closed to widest, and from neither to spread or rounded: a pixel or two at the usual sizes. Shapes come
again, so what was drawn once can be kept."""

EDGE_PIXELS = 1.1
"""Half the width of a lip's soft edge."""


@dataclass(frozen=True, kw_only=True)
class MouthPose:
    """How a mouth is held."""

    openness: float = 0.0
    """0 closed, 1 widest."""
    width: float = 0.0
    """-1 rounded, 1 spread."""

    def rounded(self) -> "MouthPose":
        """The nearest of the shapes that are drawn."""
        openness = round(self.openness * OPENNESSES) / OPENNESSES
        return MouthPose(openness=openness, width=round(self.width * WIDTHS) / WIDTHS if openness else 0.0)


@dataclass(frozen=True, kw_only=True)
class _Field:
    """What displacement needs of some pixels, whatever the pose."""

    u: Floats
    below: Floats
    """Below the line, in mouth units."""
    squeeze: Floats
    """How much of the corners' movement reaches here."""


class Mouth:
    """Draws one portrait's mouth. Read-only after it is made, so tracks share it."""

    def __init__(self, portrait: Pixels, face: Face, line: LipLine) -> None:
        """`portrait` is I420 (height * 3/2, width)."""
        height, width = portrait.shape[0] * 2 // 3, portrait.shape[1]
        self._luma = portrait[:height]
        self._chroma = portrait[height:].reshape(2, height // 2, width // 2)
        self._face, self._line = face, line
        reach = max(2.7 * face.half_width, 1.35 * face.unit)
        x, y = (float(value) for value in face.mouth)
        self.box = even_box(
            x - reach, y - 0.6 * face.unit, x + reach, y + (CHIN + NECK + 0.1) * face.unit, size=(height, width)
        )
        """What the mouth may change."""
        self._step = max(2, round(CELL * face.unit))
        coarse = pixel_grid(self.box, self._step)
        self._coarse = self._field(*coarse)
        self._calm = self._calmness(*coarse)
        self._pixels = pixel_grid(self.box)
        self._under = self._field(*self._pixels).below > 0
        self._inside = self._inside_box()
        self._inner = self._field(*pixel_grid(self._inside))
        self._paints = Paints(line.skin)

    def draw(self, pose: MouthPose, planes: tuple[Pixels, Pixels, Pixels]) -> None:
        """Draw over the portrait's planes Y, U and V, within the box."""
        self.paste(self.patch(pose), planes)

    def paste(self, patch: Patch, planes: tuple[Pixels, Pixels, Pixels]) -> None:
        """Put a patch of this mouth where it belongs."""
        for plane, part, where in zip(planes, patch, (self.box.luma, self.box.chroma, self.box.chroma), strict=True):
            plane[where] = part

    def patch(self, pose: MouthPose) -> Patch:
        """The box in this pose: Y, U and V."""
        across, upper, lower, gap_down, gap_up = self._displacements(pose)
        height, width = self.box.shape
        rise = _enlarged(upper, self._step, height, width)
        under = self._under.copy()
        rows, columns = self._in_box()
        under[rows, columns] = self._inner.below > (gap_down - gap_up) / 2
        np.copyto(rise, _enlarged(lower, self._step, height, width), where=under)
        at_x = self._pixels[0] + _enlarged(across, self._step, height, width)
        at_y = self._pixels[1] + rise
        luma = cv2.remap(self._luma, at_x, at_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        np.clip(luma, 16, 235, out=luma)  # a cubic overshoots at sharp edges
        half_x, half_y = (np.ascontiguousarray(at[::2, ::2]) / 2 for at in (at_x, at_y))
        chroma = [
            cv2.remap(plane, half_x, half_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            for plane in self._chroma
        ]
        patch = np.asarray(luma, np.uint8), np.asarray(chroma[0], np.uint8), np.asarray(chroma[1], np.uint8)
        if pose.openness > 0 and self._line.quality >= PARTS_FROM:
            self._paint_inside(patch, gap_down, gap_up, pose.openness)
        return patch

    def _field(self, across: Floats, downward: Floats) -> _Field:
        u, v = self._face.mouth_coordinates(across, downward)
        line = np.polyval(np.array(self._line.curve, np.float32), np.clip(u, -1, 1)).astype(np.float32)
        below = v - line
        far = u * np.float32(self._face.half_width / (0.85 * self._face.unit))
        squeeze = np.exp(-((far * far) ** 2) - (below / 0.45) ** 4)
        return _Field(u=u, below=below, squeeze=squeeze.astype(np.float32))

    def _calmness(self, across: Floats, downward: Floats) -> Floats:
        """0 where nothing may move, 1 where everything may: past the chin and at the box's edges comes rest."""
        _, v = self._face.mouth_coordinates(across, downward)
        chin = 1 - ramp(v, CHIN + 0.02, CHIN + NECK)
        reach = max(2.7 * self._face.half_width, 1.35 * self._face.unit)
        sides = 1 - ramp(np.abs(across - self._face.mouth[0]), 0.72 * reach, 0.98 * reach)
        calm: Floats = chin * sides
        return calm

    def _inside_box(self) -> Box:
        """What can be seen between the lips lies in this part of the box."""
        u = np.linspace(-1, 1, 21, dtype=np.float32)
        line = np.polyval(np.array(self._line.curve, np.float32), u)
        around = [self._face.mouth_pixels(u, line + beside) for beside in (-LIFT - 0.02, DROP + 0.02)]
        (left, top), (right, bottom) = np.min(around, axis=(0, 1)), np.max(around, axis=(0, 1))
        outer = even_box(left, top, right, bottom, size=(self.box.bottom, self.box.right))
        return Box(
            left=max(outer.left, self.box.left),
            top=max(outer.top, self.box.top),
            right=outer.right,
            bottom=outer.bottom,
        )

    def _in_box(self, scale: int = 1) -> tuple[slice, slice]:
        box, inside = self.box, self._inside
        return (
            slice((inside.top - box.top) // scale, (inside.bottom - box.top) // scale),
            slice((inside.left - box.left) // scale, (inside.right - box.left) // scale),
        )

    def _gaps(self, field: _Field, pose: MouthPose) -> tuple[Floats, Floats, Floats]:
        """Where the field's u comes from, and how far the lips are from the line there: down, up."""
        smile = self._line.parted
        if self._line.quality < PARTS_FROM:
            return field.u, np.zeros_like(field.u), np.zeros_like(field.u)
        wide = pose.width * (WIDER if pose.width > 0 else NARROWER) * (0.35 + 0.65 * pose.openness)
        wide *= SMILE_STIFF if smile else 1.0
        stretch = (1 + wide) * (1 - OPEN_NARROWS * pose.openness) - 1
        u = field.u / (1 + np.float32(stretch) * field.squeeze)
        arch = np.clip(1 - (u / np.float32(SMILE_NARROW if smile else 0.96)) ** 2, 0, None)
        arch = arch if smile else (arch + np.sqrt(arch)) / 2
        drop = DROP * pose.openness * (1 - 0.25 * max(0.0, pose.width)) * (0.85 if smile else 1.0)
        down = np.float32(drop) * arch
        up = np.float32(0.0 if smile else LIFT * pose.openness) * arch
        return u, down, up

    def _displacements(self, pose: MouthPose) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """In pixels, for the coarse cells: across, and down or up for what is above and below the line; and the gaps.

        A cell shows what lies at its own place plus its displacement.
        """
        field = self._coarse
        u, down, up = self._gaps(field, pose)
        jaw = np.float32(JAW * pose.openness) * np.exp(-((u / 2) ** 4))
        chin = ramp(field.below, down, down + np.float32(JAW_RAMP))
        beside = ramp(np.abs(u), 0.85, 1.25)
        common = beside * jaw * ramp(field.below, -0.1, 0.7)
        lower = (1 - beside) * (down * (1 - chin) + jaw * chin) + common
        upper = common - (1 - beside) * up * (1 - ramp(-field.below, 0.10, 0.45))
        inset = np.float32(min(1.0, pose.openness * 5)) * np.clip(down * np.float32(3 / DROP), 0, 1)
        upper_inset = np.float32(0.0 if self._line.parted else UPPER_INSET)
        lower_inset = np.float32(self._line.inset)
        lower = lower - inset * lower_inset * np.exp(-np.clip(field.below - down, 0, None) / 0.22)
        upper = upper + inset * upper_inset * np.exp(-np.clip(-up - field.below, 0, None) / 0.14)
        unit, calm = np.float32(self._face.unit), self._calm
        along = (u - field.u) * np.float32(self._face.half_width) * calm
        y = self._face.down[1]
        _, gap_down, gap_up = self._gaps(self._inner, pose)
        shift_x = along * self._face.along[0]
        shift_y = along * self._face.along[1]
        # The mouth's own down leans by a few degrees; its vertical part is all that shows.
        return shift_x, shift_y - upper * unit * calm * y, shift_y - lower * unit * calm * y, gap_down, gap_up

    def _paint_inside(self, patch: tuple[Pixels, Pixels, Pixels], down: Floats, up: Floats, openness: float) -> None:
        field, edge = self._inner, np.float32(EDGE_PIXELS / self._face.unit)
        depth = field.below + up
        gap = down + up
        cover = np.clip((depth + edge) / (2 * edge), 0, 1) * np.clip((down - field.below + edge) / (2 * edge), 0, 1)
        cover *= np.clip(gap / (3 * edge) - 0.3, 0, 1)
        colours = self._paints.mix(field.u, field.below, depth, gap, openness=openness, teeth=not self._line.parted)
        shadow = np.exp(-(((field.below - down) / 0.05) ** 2)) * (field.below > down) * np.clip(gap / DROP, 0, 1)
        rows, columns = self._in_box()
        luma = patch[0][rows, columns].astype(np.float32) * (1 - np.float32(0.16) * shadow)
        patch[0][rows, columns] = (luma + (colours[0] - luma) * cover + 0.5).astype(np.uint8)
        small = cover.shape[1] // 2, cover.shape[0] // 2
        half = cv2.resize(cover, small, interpolation=cv2.INTER_AREA)
        rows, columns = self._in_box(2)
        for plane, colour in zip(patch[1:], colours[1:], strict=True):
            shrunk = cv2.resize(colour, small, interpolation=cv2.INTER_AREA)
            old = plane[rows, columns].astype(np.float32)
            plane[rows, columns] = (old + (shrunk - old) * half + 0.5).astype(np.uint8)


def _enlarged(cells: Floats, step: int, height: int, width: int) -> Floats:
    """A value a pixel (height, width) from one a cell."""
    rows, columns = cells.shape
    whole = cv2.resize(cells, (columns * step, rows * step), interpolation=cv2.INTER_LINEAR)
    return np.asarray(whole[:height, :width], np.float32)
