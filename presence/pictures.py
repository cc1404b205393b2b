"""Pictures as the video path needs them: I420 by BT.601 in limited range; decodes trusted portraits only."""

import hashlib
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Numbers = NDArray[np.int32]

# BT.601, limited range: luma 16..235, chroma 16..240 around 128 (ITU-R BT.601-7, section 2.5), in 1/65536.
_SHIFT = 16
_LUMA, _CHROMA_U, _CHROMA_V = (
    [round(weight / 255 * 2**_SHIFT) for weight in weights]
    for weights in ((65.481, 128.553, 24.966), (-37.797, -74.203, 112.0), (112.0, -93.786, -18.214))
)


class Picture:
    """One I420 picture in memory of its own: `data` for the encoder, `i420` the same bytes as rows of the width."""

    def __init__(self, width: int, height: int) -> None:
        check_size(width, height)
        self.width = width
        self.height = height
        self.data = bytearray(width * height * 3 // 2)
        self.i420: Pixels = np.frombuffer(self.data, np.uint8).reshape(height * 3 // 2, width)


def check_size(width: int, height: int) -> None:
    """ValueError unless I420 can hold the size: both sides even and positive."""
    if width <= 0 or height <= 0 or width % 2 or height % 2:
        raise ValueError(f"{width}x{height} is no size for I420: both sides must be even")


def i420_from_rgb(image: Pixels) -> Pixels:
    """I420 (height * 3/2, width) of an RGB picture (height, width, 3), both uint8, with even sides.

    In whole numbers: a join waits for it, and floating point takes three times as long.
    """
    height, width = image.shape[:2]
    check_size(width, height)
    out = np.empty((height * 3 // 2, width), np.uint8)
    red, green, blue = (np.ascontiguousarray(image[..., channel], np.int32) for channel in range(3))
    out[:height] = _weighted((red, green, blue), _LUMA, 16, _SHIFT)
    # Chroma is that of four pixels' sum, so two bits more are shifted out.
    quads = tuple(c[::2, ::2] + c[::2, 1::2] + c[1::2, ::2] + c[1::2, 1::2] for c in (red, green, blue))
    flat = out[height:].reshape(2, height // 2, width // 2)
    flat[0] = _weighted(quads, _CHROMA_U, 128, _SHIFT + 2)
    flat[1] = _weighted(quads, _CHROMA_V, 128, _SHIFT + 2)
    return out


def _weighted(channels: tuple[Numbers, ...], weights: list[int], offset: int, shift: int) -> Numbers:
    """The weighted sum of three channels, rounded, plus `offset`."""
    total = channels[0] * weights[0]
    for channel, weight in zip(channels[1:], weights[1:], strict=True):
        total += channel * weight
    total += (offset << shift) + (1 << (shift - 1))
    total >>= shift
    return total


def warm_up(width: int, height: int) -> None:
    """Read and convert one picture of this size: the first takes three times as long as the next."""
    encoded = io.BytesIO()
    Image.new("RGB", (width, height)).save(encoded, "JPEG")
    with Image.open(encoded) as image:
        i420_from_rgb(np.asarray(image.convert("RGB")))


def load_portrait(path: Path, *, sha256: str = "") -> Pixels:
    """The RGB pixels (height, width, 3) of a stored portrait; ValueError if its bytes are not the expected ones."""
    encoded = path.read_bytes()
    if sha256 and hashlib.sha256(encoded).hexdigest() != sha256:
        raise ValueError("the portrait's bytes do not have the expected hash")
    with Image.open(io.BytesIO(encoded)) as image:
        return np.asarray(image.convert("RGB"))
