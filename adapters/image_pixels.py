"""Pictures as arrays: height x width x 3, RGB, 8 bits. Reads only what this system encoded itself, never a client's."""

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Rgb: TypeAlias = npt.NDArray[np.uint8]
"""Height x width x 3."""

Affine: TypeAlias = npt.NDArray[np.float64]
"""2 x 3: maps (x, y, 1) of the source to (x, y) of the output; whole numbers are the centres of pixels."""

Box: TypeAlias = tuple[int, int, int, int]
"""Left, top, right and bottom in whole pixels, which may lie beyond a picture's edge; right and bottom are outside."""

SHRINK_BELOW = 0.5
"""Below this scale linear interpolation skips source pixels, so the source is averaged down first."""


def load_rgb(data: bytes) -> Rgb:
    """The pixels of a picture that `ImageDecoder` encoded; ValueError if it is none."""
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB) if data else None
    if decoded is None:
        raise ValueError("not a readable picture")
    return np.asarray(decoded, np.uint8)


def encode_jpeg(rgb: Rgb, quality: int) -> bytes:
    """A baseline JPEG, with colour at half resolution."""
    done, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError("the picture could not be encoded")
    return data.tobytes()


def scale_of(transform: Affine) -> float:
    """How much a similarity transform enlarges."""
    return float(np.hypot(transform[0, 0], transform[1, 0]))


def warp(rgb: Rgb, transform: Affine, width: int, height: int, *, border: int = cv2.BORDER_REPLICATE) -> Rgb:
    """The source seen through a similarity transform, without aliasing; beyond its edge as `border` (OpenCV's) says."""
    scale = scale_of(transform)
    if scale < SHRINK_BELOW:
        rgb, transform = average_down(rgb, transform, int(1 / scale))
    flags = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.warpAffine(rgb, transform, (width, height), flags=flags, borderMode=border), np.uint8)


def enlarged_box(rgb: Rgb, box: Box, width: int, height: int, *, border: int = cv2.BORDER_REPLICATE) -> Rgb:
    """An upright part of the source at another size; beyond its edge as `border` (OpenCV's) says.

    The same as `warp` along whole source pixels, in a tenth of its time.
    """
    left, top, right, bottom = box
    source_height, source_width = rgb.shape[:2]
    inner = rgb[max(top, 0) : min(bottom, source_height), max(left, 0) : min(right, source_width)]
    beyond = (max(-top, 0), max(bottom - source_height, 0), max(-left, 0), max(right - source_width, 0))
    part = cv2.copyMakeBorder(inner, *beyond, border) if any(beyond) else inner
    scale = width / (right - left)
    shrinking = cv2.INTER_AREA if scale < SHRINK_BELOW else cv2.INTER_LINEAR
    interpolation = cv2.INTER_CUBIC if scale > 1 else shrinking
    return np.asarray(cv2.resize(part, (width, height), interpolation=interpolation), np.uint8)


def average_down(rgb: Rgb, transform: Affine, factor: int) -> tuple[Rgb, Affine]:
    """The source shrunk by a whole factor, and the transform that leads from it to the same output."""
    height, width = rgb.shape[:2]
    small_width, small_height = max(width // factor, 1), max(height // factor, 1)
    small = cv2.resize(rgb, (small_width, small_height), interpolation=cv2.INTER_AREA)
    across, down = width / small_width, height / small_height
    # A pixel's centre x' of the small picture lies at across * (x' + 1/2) - 1/2 of the source.
    back = np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1]])
    return np.asarray(small, np.uint8), transform @ back


def map_points(transform: Affine, points: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Points (n x 2) of the source, in the output."""
    return np.asarray(points, np.float64) @ transform[:, :2].T + transform[:, 2]


def invert(transform: Affine) -> Affine:
    """The transform back from output to source."""
    return np.asarray(cv2.invertAffineTransform(transform), np.float64)


def similarity(*, scale: float, degrees: float, source: npt.ArrayLike, target: npt.ArrayLike) -> Affine:
    """Scale, turn anticlockwise by `degrees`, and move so that point `source` comes to lie at `target`."""
    angle = np.radians(-degrees)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.column_stack([turn, np.asarray(target, np.float64) - turn @ np.asarray(source, np.float64)])
