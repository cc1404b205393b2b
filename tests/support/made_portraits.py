"""Photographs as people send them, made of the few that packages ship: other light, ground, frame and company."""

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
from PIL import Image, ImageDraw

from support.pictures import Rgb, astronaut, blurred, encoded, file_of, pixels, resized

EYES = ((398, 213), (491, 218))
"""Of the doubled astronaut, in pixels; her eyes are 93 apart."""


def bytes_of(values: np.ndarray) -> Rgb:
    """Numbers as pixels."""
    return np.clip(values, 0, 255).astype(np.uint8)


def head_of(
    source: Callable[[], bytes], box: tuple[int, int, int, int], framed: float = 2.2, factor: float = 1.0
) -> bytes:
    """One person of a group, `framed` heights of the face around it, at `factor` of the size."""
    rgb = pixels(source())
    left, top, right, bottom = box
    side = (bottom - top) * framed
    across, down = (left + right) / 2, (top + bottom) / 2 + 0.15 * side
    rows = slice(max(round(down - 0.6 * side), 0), round(down + 0.5 * side))
    columns = slice(max(round(across - side / 2), 0), round(across + side / 2))
    return file_of(resized(rgb[rows, columns], factor))


@cache
def silhouette() -> Rgb:
    """Where the doubled astronaut is herself, 0 to 255; 1024 x 1024."""
    small = cv2.resize(pixels(astronaut()), (256, 256), interpolation=cv2.INTER_AREA)
    mask = np.full((256, 256), cv2.GC_PR_BGD, np.uint8)
    cv2.ellipse(mask, (112, 58), (38, 52), 0, 0, 360, cv2.GC_PR_FGD, -1)
    cv2.rectangle(mask, (30, 100), (200, 255), cv2.GC_PR_FGD, -1)
    cv2.ellipse(mask, (112, 60), (20, 28), 0, 0, 360, cv2.GC_FGD, -1)
    mask[:2], mask[:, :2], mask[:, -2:] = cv2.GC_BGD, cv2.GC_BGD, cv2.GC_BGD
    cv2.setRNGSeed(7)
    cv2.grabCut(small, mask, None, np.zeros((1, 65)), np.zeros((1, 65)), 2, cv2.GC_INIT_WITH_MASK)
    alone = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8) * 255
    return np.asarray(cv2.GaussianBlur(cv2.resize(alone, (1024, 1024)), (0, 0), 2), np.uint8)


def cut_out(rgb: Rgb, ground: tuple[int, int, int]) -> Rgb:
    """The doubled astronaut before one colour."""
    share = silhouette()[..., None] / 255
    return bytes_of(rgb * share + np.array(ground) * (1 - share))


def transparent() -> bytes:
    """The astronaut cut out, as PNG whose ground is transparent, and black under it."""
    rgb = resized(pixels(astronaut()), 2)
    return encoded(Image.fromarray(np.dstack([rgb * (silhouette() > 0)[..., None], silhouette()])), "PNG")


def large() -> bytes:
    """The astronaut as a JPEG of 7000 x 7000 pixels."""
    return encoded(Image.fromarray(pixels(astronaut())).resize((7000, 7000), Image.Resampling.BILINEAR), "JPEG")


def grey(rgb: Rgb) -> Rgb:
    """Without colour."""
    return np.asarray(Image.fromarray(rgb).convert("L").convert("RGB"), np.uint8)


def sepia(rgb: Rgb) -> Rgb:
    """As an old print."""
    return bytes_of(grey(rgb) * np.array([1.07, 0.9, 0.7]))


def toned(rgb: Rgb, factor: float, shift: float = 0) -> Rgb:
    """Brighter, darker, harder or softer."""
    return bytes_of(rgb * factor + shift)


def grainy(rgb: Rgb, sigma: float) -> Rgb:
    """As a sensor sees by night."""
    return bytes_of(rgb + np.random.default_rng(7).normal(0, sigma, rgb.shape))


def oversharpened(rgb: Rgb) -> Rgb:
    """With halos."""
    return bytes_of(rgb * 5.0 - blurred(rgb, 3) * 4.0)


def smoothed(rgb: Rgb) -> Rgb:
    """As telephones smooth skin."""
    return np.asarray(cv2.bilateralFilter(rgb, 15, 40, 15), np.uint8)


def on_a_telephone(rgb: Rgb) -> Rgb:
    """Seen on a telephone held upright: 600 pixels wide, black above and below."""
    shown = resized(rgb, 600 / rgb.shape[1])
    height = (1300 - shown.shape[0]) // 2
    return cv2.copyMakeBorder(shown, height, height, 0, 0, cv2.BORDER_CONSTANT)


def as_jpeg(rgb: Rgb, quality: int) -> Rgb:
    """What is left of it in a small file."""
    return pixels(encoded(Image.fromarray(rgb), "JPEG", quality=quality))


def few_colours(rgb: Rgb, colours: int) -> Rgb:
    """As a GIF keeps it."""
    return np.asarray(Image.fromarray(rgb).quantize(colours).convert("RGB"), np.uint8)


def cropped(rgb: Rgb, box: tuple[int, int, int, int]) -> Rgb:
    """A part: top, left, bottom, right."""
    top, left, bottom, right = box
    return np.ascontiguousarray(rgb[top:bottom, left:right])


def at_width(rgb: Rgb, width: int, box: tuple[int, int, int, int]) -> Rgb:
    """A part at another width."""
    part = cropped(rgb, box)
    return np.asarray(Image.fromarray(part).resize((width, round(width * part.shape[0] / part.shape[1]))), np.uint8)


def slanted(rgb: Rgb) -> Rgb:
    """Seen from one side, as a photograph of a photograph."""
    height, width = rgb.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    seen = np.array([[0, 0], [0.8 * width, 0.08 * height], [0.8 * width, 0.92 * height], [0, height]], np.float32)
    transform = cv2.getPerspectiveTransform(corners, seen)
    return np.asarray(cv2.warpPerspective(rgb, transform, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def with_glasses(rgb: Rgb, *, dark: bool = False) -> Rgb:
    """The doubled astronaut with round glasses."""
    image = Image.fromarray(rgb)
    pen = ImageDraw.Draw(image)
    for x, y in EYES:
        pen.ellipse((x - 38, y - 32, x + 38, y + 32), outline="black", width=6, fill="black" if dark else None)
    pen.line([(EYES[0][0] + 36, EYES[0][1]), (EYES[1][0] - 36, EYES[1][1])], fill="black", width=6)
    return np.asarray(image, np.uint8)


def with_hat(rgb: Rgb) -> Rgb:
    """The doubled astronaut with a dark hat down to her brows."""
    image = Image.fromarray(rgb)
    pen = ImageDraw.Draw(image)
    pen.rectangle((300, 50, 590, 150), fill=(40, 40, 60))
    pen.rectangle((250, 140, 640, 165), fill=(30, 30, 45))
    return np.asarray(image, np.uint8)


def mirrored_twin() -> bytes:
    """The astronaut beside her image in a mirror."""
    rgb = pixels(astronaut())
    return file_of(np.hstack([rgb, rgb[:, ::-1]]))


UNIT = {"gauss": 132.0, "newton": 54.0}
"""Face units of the paintings, in pixels."""
HERS = 86.0
HEADS = {"gauss": (slice(180, 820), slice(330, 880)), "newton": (slice(20, 260), slice(270, 480))}
"""Rows and columns of the paintings that show head and collar."""


def beside(painting: Callable[[], bytes], size: float, out_of_focus: float = 0) -> bytes:
    """The doubled astronaut, and a painted head of `size` times hers on a wall beside her."""
    name = painting.__name__
    head = resized(pixels(painting())[HEADS[name]], size * HERS / UNIT[name])
    if out_of_focus:
        head = blurred(head, out_of_focus)
    wall = np.full((1024, 1024 + 600, 3), (90, 110, 120), np.uint8)
    wall[:, :1024] = resized(pixels(astronaut()), 2)
    wall[200 : 200 + head.shape[0], 1100 : 1100 + head.shape[1]] = head
    return file_of(wall)
