"""Drawings of faces, and photographs made to look drawn."""

import cv2
import numpy as np
from PIL import Image, ImageDraw

from support.pictures import Rgb, encoded

SIZE, FINE = 640, 2
"""Pixels a side, and by how much larger a drawing is drawn first."""

INK = (30, 20, 20)
PAPER = (255, 255, 255)


def cartoon_face(*, filled: bool = True, quality: int = 0) -> bytes:
    """A face of flat colours, or of lines alone, with outlines; as PNG, or as JPEG of a quality."""
    image = Image.new("RGB", (SIZE * FINE, SIZE * FINE), (120, 180, 220) if filled else PAPER)
    pen = Pen(image, filled=filled)
    pen.oval(320, 270, 165, 190, (80, 50, 30))
    pen.oval(320, 310, 130, 165, (240, 200, 170))
    for x in (265, 375):
        pen.oval(x, 300, 22, 11, (250, 250, 250))
        pen.oval(x, 300, 9, 10, (60, 40, 20))
        pen.oval(x, 300, 4, 5, INK)
        pen.lines([(x - 32, 262), (x, 252), (x + 32, 262)], 8)
    pen.lines([(320, 310), (308, 362), (332, 366)], 5)
    pen.oval(320, 406, 45, 16, (190, 70, 70))
    small = image.resize((SIZE, SIZE), Image.Resampling.LANCZOS)
    return encoded(small, "JPEG", quality=quality) if quality else encoded(small, "PNG")


class Pen:
    """Draws with an outline."""

    def __init__(self, image: Image.Image, *, filled: bool) -> None:
        self._pen = ImageDraw.Draw(image)
        self._filled = filled

    def oval(self, x: float, y: float, across: float, down: float, colour: tuple[int, int, int]) -> None:
        """By its middle and its half axes."""
        box = tuple(FINE * side for side in (x - across, y - down, x + across, y + down))
        fill = colour if self._filled or colour == INK else PAPER
        self._pen.ellipse(box, fill=fill, outline=INK, width=4 * FINE)  # type: ignore[arg-type]

    def lines(self, points: list[tuple[float, float]], width: int) -> None:
        """Through some points."""
        self._pen.line([(FINE * x, FINE * y) for x, y in points], fill=INK, width=width * FINE)


def grey_of(rgb: Rgb, sigma: float) -> Rgb:
    """Brightness, a little blurred; height x width."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), sigma), np.uint8)


def coloured(grey: np.ndarray) -> Rgb:
    """Three equal channels of one."""
    return np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)


def edges(rgb: Rgb) -> Rgb:
    """Canny's edges, black on white."""
    return coloured(255 - cv2.dilate(cv2.Canny(grey_of(rgb, 1.5), 40, 100), np.ones((3, 3), np.uint8)))


def ink(rgb: Rgb) -> Rgb:
    """Black where it is darker than around, white elsewhere."""
    threshold = cv2.ADAPTIVE_THRESH_GAUSSIAN_C
    return coloured(cv2.adaptiveThreshold(grey_of(rgb, 1.5), 255, threshold, cv2.THRESH_BINARY, 51, 3))


def flattened(rgb: Rgb) -> Rgb:
    """Eight flat colours."""
    smooth = rgb
    for _ in range(3):
        smooth = np.asarray(cv2.bilateralFilter(smooth, 15, 60, 20), np.uint8)
    return np.asarray(Image.fromarray(smooth).quantize(8, dither=Image.Dither.NONE).convert("RGB"), np.uint8)


def outlined(rgb: Rgb) -> Rgb:
    """Eight flat colours and dark outlines."""
    flat = flattened(rgb).copy()
    grey = cv2.medianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), 5)
    flat[cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 11, 4) == 0] = 20
    return flat


def dotted(rgb: Rgb) -> Rgb:
    """Pixels of black and white, as newspapers print grey."""
    return np.asarray(Image.fromarray(rgb).convert("1").convert("RGB"), np.uint8)


def posterised(rgb: Rgb) -> Rgb:
    """Eight levels a colour."""
    return rgb >> 5 << 5


def pencil(rgb: Rgb) -> Rgb:
    """As image editors make a pencil sketch: each pixel over the brightness around it."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return coloured(np.clip(256 * grey / (cv2.GaussianBlur(grey, (0, 0), 8) + 1), 0, 255))
