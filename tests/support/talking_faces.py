"""Faces with known keypoints for the 2D warp: a photograph, and drawn ones whose lips, teeth and eyes are known."""

import cv2
import numpy as np
from numpy.typing import NDArray

from support.portrait_pictures import astronaut

Rgb = NDArray[np.uint8]
Points = NDArray[np.float32]

SIZE = (1280, 960)
SMILING_POINTS = np.array([[510, 251], [618, 257], [558, 322], [503, 348], [614, 354]], np.float32)

DRAWN_POINTS = np.array([[580, 400], [700, 400], [640, 470], [592, 520], [688, 520]], np.float32)
"""Of every drawn face: the eyes are 120 pixels apart, the mouth is 96 wide."""
SKIN, LIP, LINE, TEETH = (205, 160, 135), (175, 95, 90), (70, 30, 30), (235, 228, 220)


def smiling() -> tuple[Rgb, Points]:
    """A photograph of a woman who shows her teeth, 1280x960."""
    return astronaut(*SIZE), SMILING_POINTS


def drawn(*, sag: int = 0, teeth: bool = False, lips: bool = True, gap: int = 0) -> Rgb:
    """A face, 1280x960. The middle of the line between its lips lies `sag` pixels below the corners.

    With a gap, the mouth stands open by so many pixels above that line.
    """
    rgb = np.full((SIZE[1], SIZE[0], 3), (120, 140, 150), np.uint8)
    cv2.ellipse(rgb, (640, 450), (150, 200), 0, 0, 360, SKIN, -1)
    for x, y in DRAWN_POINTS[:2].astype(int):
        cv2.ellipse(rgb, (int(x), int(y)), (24, 10), 0, 0, 360, (240, 240, 240), -1)
        cv2.circle(rgb, (int(x), int(y)), 9, (40, 30, 25), -1)
    if lips:
        draw_mouth(rgb, sag, teeth=teeth, gap=gap)
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), 1.0), np.uint8)


def draw_mouth(rgb: Rgb, sag: int, *, teeth: bool, gap: int) -> None:
    """Lips around the line; with teeth, these lie above the line and there is none."""
    across = np.arange(592, 689)
    arch = 1 - ((across - 640) / 48) ** 2
    line = 520 + sag * arch
    for column, middle, high in zip(across, line, arch, strict=True):
        rgb[int(middle - 12 * high) : int(middle + 16 * high) + 1, column] = LIP
        if teeth:
            rgb[int(middle - 18 * high) : int(middle) + 1, column] = TEETH
            rgb[int(middle - 28 * high) : int(middle - 18 * high), column] = LIP
        else:
            rgb[int(middle - gap * high) - 12 : int(middle - gap * high), column] = LIP
            rgb[int(middle - gap * high) - 1 : int(middle) + 2, column] = LINE


def line_of(sag: int) -> NDArray[np.float64]:
    """The line's height in pixels, at 21 places from one corner to the other."""
    arch = 1 - np.linspace(-1, 1, 21) ** 2
    heights: NDArray[np.float64] = 520 + sag * arch
    return heights


def voice(seconds: float, *, pitch: float = 130.0, formant: float = 700.0) -> NDArray[np.float32]:
    """A vowel: harmonics of a pitch, the ones near the formant loudest. Mono at 48 kHz."""
    times = np.arange(round(seconds * 48_000)) / 48_000
    harmonics = pitch * np.arange(1, 30)
    weights = 1 / (1 + ((harmonics - formant) / 150) ** 2)
    wave = (weights[:, None] * np.sin(2 * np.pi * harmonics[:, None] * times)).sum(axis=0)
    return (0.25 * wave / np.abs(wave).max()).astype(np.float32)
