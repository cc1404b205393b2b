"""Where the lips part: a curve through the mouth, and how far it can be trusted; bends nothing."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from presence.renderers.warp.geometry import Colour, Face, Floats

Pixels = NDArray[np.uint8]

COLUMNS = np.linspace(-0.85, 0.85, 35, dtype=np.float32)
"""Where along the mouth the line is looked for: nearer to the corners there is only shadow."""
CELL = 0.01
DEPTHS = np.arange(-0.16, 0.62, CELL, dtype=np.float32)
"""How far above and below, in mouth units: the lower lip of a broad smile hangs a quarter unit below the corners."""
BLUR = 0.02
SAGS = np.arange(-0.12, 0.40, 0.01)
"""How far the middle of a closed mouth may lie below its corners: a smile's lies low."""
SAG_PULL = 4.0
"""Grey levels by which an arch that sags by NEAR must be darker than a straight line; it grows with the square."""
NEAR = 0.13
REACH, PULL = 0.09, 6.0
"""So far from that arch the line itself is looked for, and must be so much darker there."""
DEGREE = 3

TEETH_BRIGHT = 0.95
"""Least luma of teeth over the skin's ..."""
TEETH_PALE, TEETH_SALLOW = 0.65, 0.60
"""... and most of their redness (Cr over luma) over that of the lips, which they lie between, and over the skin's: a
lower lip that shines is paler than its rims, but not paler than the skin."""
LIPS_NEAR, LIPS_RED = 0.22, 0.06
"""The lips are so near, in mouth units, and so red: a picture without colours shows no teeth."""
TEETH_START, GAP_START = (0.0, 0.40), (-0.13, 0.20)
"""What a parted mouth shows begins within these depths: the upper lip of a broad smile hangs lower than the corners."""
TEETH_TALL = (0.04, 0.30)
"""Least and largest height of a row of teeth, in mouth units: what is taller is a pale chin."""
GAP_DARK = 0.42
"""Largest luma of an open mouth's inside over the skin's: a shadow between lips is seldom that dark ..."""
GAP_TALL = (0.08, 0.36)
"""... and never that tall; a beard is taller."""
SHOWN_WIDE = 0.3
"""Share of the columns that must show teeth or a gap, before the mouth counts as parted."""

FAINT, CLEAR = 0.02, 0.09
"""How much darker the line must be than both lips, over the skin's luma, to be trusted not at all, or fully."""
CROOKED = 0.06
"""Distance from the curve that a quarter of the found points exceed, in mouth units, at which it is trusted no more."""
UNTRUSTED = 0.05
"""Below this quality the line is taken straight through the corners: a wrong one could open the chin."""
TURNED, FRONTAL = 0.60, 0.28
"""Yaw at which the mouth moves least, and up to which it moves fully."""
TEETH_INSET, INSET = 0.012, (0.015, 0.045)
"""Of a smile; and least and largest of a closed mouth."""
SMILE_TRUST, GAP_TRUST = 0.8, 0.4
"""A parted mouth stays parted at rest: smaller movements look better on it."""


@dataclass(frozen=True, kw_only=True)
class LipLine:
    """Where the mouth parts."""

    curve: tuple[float, ...]
    """Polynomial in u, highest power first: v of the line."""
    parted: bool
    """Does the portrait show upper teeth, or an open mouth? Then the line is the lower edge of what it shows, which
    stays where it is."""
    skin: Colour
    """Median RGB of the skin around the mouth."""
    inset: float
    """So far below the line the lower lip begins, in mouth units: what lies between is the shadow of closed lips."""
    quality: float
    """0..1: how natural the mouth's movements will look; it scales them."""


def find_lip_line(image: Pixels, face: Face) -> LipLine:
    """Fit the line in an RGB picture (height, width, 3)."""
    points = face.mouth_pixels(*np.meshgrid(COLUMNS, DEPTHS))
    colours = _sample(image, points, BLUR * face.unit)
    luma, red = _luma_and_cr(colours)
    skin = _skin(image, face)
    skin_luma, skin_red = (float(value[0]) for value in _luma_and_cr(np.array([skin], np.float32)))
    teeth = _find_teeth(luma, red) & (luma > TEETH_BRIGHT * skin_luma)
    teeth &= red * skin_luma < TEETH_SALLOW * skin_red * luma
    teeth_ends = _ends(teeth, TEETH_TALL, TEETH_START)
    gap_ends = _ends(luma < GAP_DARK * skin_luma, GAP_TALL, GAP_START)
    smiling, gaping = (float((ends > 0).mean()) >= SHOWN_WIDE for ends in (teeth_ends, gap_ends))
    if smiling or gaping:
        columns, found = _with_corners(teeth_ends if smiling else gap_ends)
        trust = SMILE_TRUST if smiling else GAP_TRUST
    else:
        columns, found = COLUMNS, _darkest(luma)
        trust = _prominence(luma, found, skin_luma)
    curve, error = _fit(columns, found)
    facing = float(np.clip((TURNED - abs(face.yaw)) / (TURNED - FRONTAL), 0, 1))
    quality = trust * float(np.clip(2 - 2 * error / CROOKED, 0, 1)) * facing
    shown = smiling or gaping
    inset = TEETH_INSET if shown else _shadow(luma, found)
    if quality < UNTRUSTED:
        curve = (0.0,)
    return LipLine(curve=curve, parted=shown, skin=skin, inset=round(inset, 4), quality=round(quality, 3))


def _sample(image: Pixels, points: Floats, sigma: float) -> Floats:
    """Blurred RGB at pixels (..., 2); only the part around them is blurred."""
    margin = int(4 * sigma) + 2
    height, width = image.shape[:2]
    left, top = np.clip(np.floor(points.reshape(-1, 2).min(axis=0)).astype(int) - margin, 0, (width - 2, height - 2))
    right, bottom = np.ceil(points.reshape(-1, 2).max(axis=0)).astype(int) + margin
    part = cv2.GaussianBlur(image[top : max(bottom, top + 2), left : max(right, left + 2)], (0, 0), max(sigma, 0.5))
    at = (points - np.array([left, top])).astype(np.float32)
    sampled = cv2.remap(part, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(sampled, np.float32)


def _luma_and_cr(colours: Floats) -> tuple[Floats, Floats]:
    """Luma 0..255 and Cr around 0, of RGB (..., 3): full range, as thresholds are easiest to read."""
    luma: Floats = colours @ np.array([0.299, 0.587, 0.114], np.float32)
    red: Floats = (colours[..., 0] - luma) * np.float32(0.713)
    return luma, red


def _skin(image: Pixels, face: Face) -> Colour:
    """Median RGB beside, above and below the mouth."""
    u = np.array([-1.3, -1.2, 1.2, 1.3, -0.5, 0.5, -0.4, 0.0, 0.4], np.float32)
    v = np.array([-0.1, 0.15, 0.15, -0.1, -0.25, -0.25, 0.6, 0.65, 0.6], np.float32)
    colours = np.median(_sample(image, face.mouth_pixels(u, v)[None], 0.05 * face.unit)[0], axis=0)
    return float(colours[0]), float(colours[1]), float(colours[2])


def _find_teeth(luma: Floats, red: Floats) -> NDArray[np.bool_]:
    """Where it is much less red than something above and something below."""
    redness = np.clip(red, 0, None) / np.maximum(luma, 1)
    rows = round(LIPS_NEAR / CELL)
    padded = np.pad(redness, ((rows, rows), (0, 0)))
    nearby = np.lib.stride_tricks.sliding_window_view(padded, rows, axis=0).max(axis=-1)
    lips = np.minimum(nearby[: len(DEPTHS)], nearby[rows + 1 :])
    return np.asarray((redness < TEETH_PALE * lips) & (lips > LIPS_RED))


def _ends(mask: NDArray[np.bool_], tall: tuple[float, float], start: tuple[float, float]) -> Floats:
    """The lower edge of the tallest marked stretch of an allowed height, column by column; 0 where there is none.

    Only those count that begin within the depths of `start`.
    """
    ends = np.zeros(mask.shape[1], np.float32)
    for index, column in enumerate(mask.T):
        changes = np.flatnonzero(np.diff(np.concatenate([[False], column, [False]])))
        starts, stops = changes[::2], changes[1::2]
        heights, begins = CELL * (stops - starts), DEPTHS[0] + CELL * starts
        fits = (heights >= tall[0]) & (heights <= tall[1]) & (begins >= start[0]) & (begins <= start[1])
        if fits.any():
            ends[index] = DEPTHS[0] + CELL * stops[np.argmax(heights * fits)]
    return ends


def _with_corners(below: Floats) -> tuple[Floats, Floats]:
    """Where something ends, and both corners, where nothing is shown."""
    has = np.flatnonzero(below)
    columns = np.concatenate([[-1, -1], COLUMNS[has], [1, 1]])
    return columns, np.concatenate([[0.02, 0.02], below[has], [0.02, 0.02]])


def _darkest(luma: Floats) -> Floats:
    """The depth of the darkest line: first the darkest arch through both corners, then, near it, each column's own."""
    arches = SAGS[:, None] * (1 - COLUMNS**2)
    rows = np.clip(np.rint((arches - DEPTHS[0]) / CELL).astype(int), 0, len(DEPTHS) - 1)
    costs = luma[rows, np.arange(len(COLUMNS))].mean(axis=1) + SAG_PULL * (SAGS / NEAR) ** 2
    off = np.abs(DEPTHS[:, None] - arches[costs.argmin()])
    found: Floats = DEPTHS[np.where(off <= REACH, luma + PULL * (off / REACH) ** 2, np.inf).argmin(axis=0)]
    return found


def _prominence(luma: Floats, found: Floats, skin_luma: float) -> float:
    """0..1: how clearly the line is darker than what is above and below it."""
    rows = np.arange(len(DEPTHS))[:, None]
    line = np.searchsorted(DEPTHS, found - 0.001)[None]
    above = np.where((rows < line) & (rows >= line - 12), luma, 0).max(axis=0)
    below = np.where((rows > line) & (rows <= line + 12), luma, 0).max(axis=0)
    # Where a beard was taken for skin, the picture's own light is the measure.
    light = max(skin_luma, float(np.median(luma)), 1.0)
    deep = np.minimum(above, below) - np.take_along_axis(luma, line, axis=0)[0]
    return float(np.clip((np.median(deep) / light - FAINT) / (CLEAR - FAINT), 0, 1))


def _shadow(luma: Floats, found: Floats) -> float:
    """How far below the line half of the lower lip's light is reached: thin lips have thin shadows."""
    rows = np.arange(len(DEPTHS))[:, None]
    line = np.searchsorted(DEPTHS, found - 0.001)[None]
    under = (rows > line) & (rows <= line + 12)
    dark = np.take_along_axis(luma, line, axis=0)
    half = (dark + np.where(under, luma, 0).max(axis=0)) / 2
    first = np.argmax(under & (luma >= half), axis=0) - line[0]
    middle = np.abs(COLUMNS) < 0.5  # noqa: PLR2004 - towards the corners there is shadow alone
    return float(np.clip(CELL * float(np.median(first[middle])), *INSET))


def _fit(columns: Floats, found: Floats) -> tuple[tuple[float, ...], float]:
    """A cubic that outliers do not bend (weights of Cauchy's kind), and its error."""
    weights = np.ones(len(columns))
    for _ in range(5):
        curve = np.polyfit(columns, found, DEGREE, w=weights)
        off = np.abs(np.polyval(curve, columns) - found)
        weights = 1 / (1 + (off / 0.02) ** 2)
    return tuple(float(c) for c in curve), float(np.quantile(off, 0.75))
