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
DEPTHS = np.arange(-0.16, 0.44, CELL, dtype=np.float32)
"""How far above and below, in mouth units: the lower lip of a broad smile hangs a quarter unit below the corners."""
BLUR = 0.02
START = (-0.13, 0.20)
"""What a parted mouth shows begins within these depths: the upper lip of a broad smile hangs low, too."""
REACH = 0.13
"""A closed mouth's line is looked for as near as this to the line through the corners."""
PULL = 12.0
"""Grey levels by which a place as far as REACH must be darker to be preferred."""
DEGREE = 3

TEETH_BRIGHT = 0.95
"""Least luma of teeth over the skin's ..."""
TEETH_PALE = 5.0
"""... and by how much their Cr must be below the skin's: lips have more red than skin, teeth less."""
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
    skin_luma, skin_red = _luma_and_cr(np.array([skin], np.float32))
    teeth = (luma > TEETH_BRIGHT * skin_luma) & (red < skin_red - TEETH_PALE)
    teeth_ends, gap_ends = _ends(teeth, TEETH_TALL), _ends(luma < GAP_DARK * skin_luma, GAP_TALL)
    smiling, gaping = (float((ends > 0).mean()) >= SHOWN_WIDE for ends in (teeth_ends, gap_ends))
    if smiling or gaping:
        columns, found = _with_corners(teeth_ends if smiling else gap_ends)
        trust = SMILE_TRUST if smiling else GAP_TRUST
    else:
        columns, found = COLUMNS, _darkest(luma)
        trust = _prominence(luma, found, float(skin_luma[0]))
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


def _ends(mask: NDArray[np.bool_], tall: tuple[float, float]) -> Floats:
    """The lower edge of the tallest marked stretch of an allowed height, column by column; 0 where there is none.

    Only those count that begin within START.
    """
    ends = np.zeros(mask.shape[1], np.float32)
    for index, column in enumerate(mask.T):
        changes = np.flatnonzero(np.diff(np.concatenate([[False], column, [False]])))
        starts, stops = changes[::2], changes[1::2]
        heights, begins = CELL * (stops - starts), DEPTHS[0] + CELL * starts
        fits = (heights >= tall[0]) & (heights <= tall[1]) & (begins >= START[0]) & (begins <= START[1])
        if fits.any():
            ends[index] = DEPTHS[0] + CELL * stops[np.argmax(heights * fits)]
    return ends


def _with_corners(below: Floats) -> tuple[Floats, Floats]:
    """Where something ends, and both corners, where nothing is shown."""
    has = np.flatnonzero(below)
    columns = np.concatenate([[-1, -1], COLUMNS[has], [1, 1]])
    return columns, np.concatenate([[0.02, 0.02], below[has], [0.02, 0.02]])


def _darkest(luma: Floats) -> Floats:
    """The darkest depth of each column, the nearer ones preferred."""
    near = np.abs(DEPTHS) <= REACH
    cost = luma[near] + PULL * (DEPTHS[near, None] / REACH) ** 2
    found: Floats = DEPTHS[near][cost.argmin(axis=0)]
    return found


def _prominence(luma: Floats, found: Floats, skin_luma: float) -> float:
    """0..1: how clearly the line is darker than what is above and below it."""
    rows = np.arange(len(DEPTHS))[:, None]
    line = np.searchsorted(DEPTHS, found - 0.001)[None]
    above = np.where((rows < line) & (rows >= line - 12), luma, 0).max(axis=0)
    below = np.where((rows > line) & (rows <= line + 12), luma, 0).max(axis=0)
    deep = np.minimum(above, below) - np.take_along_axis(luma, line, axis=0)[0]
    return float(np.clip((np.median(deep) / max(skin_luma, 1.0) - FAINT) / (CLEAR - FAINT), 0, 1))


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
