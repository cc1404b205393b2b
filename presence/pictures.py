"""Pictures as the video path needs them: I420 by BT.601 in limited range; decodes trusted portraits only."""

import hashlib
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

# BT.601, limited range: luma 16..235, chroma 16..240 around 128 (ITU-R BT.601-7, section 2.5).
_LUMA = np.array([65.481, 128.553, 24.966], np.float32) / 255
_CHROMA_U = np.array([-37.797, -74.203, 112.0], np.float32) / 255
_CHROMA_V = np.array([112.0, -93.786, -18.214], np.float32) / 255


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
    """I420 (height * 3/2, width) of an RGB picture (height, width, 3), both uint8, with even sides."""
    height, width = image.shape[:2]
    check_size(width, height)
    out = np.empty((height * 3 // 2, width), np.uint8)
    np.rint(image.astype(np.float32) @ _LUMA + 16, casting="unsafe", out=out[:height])
    quads = image.reshape(height // 2, 2, width // 2, 2, 3).mean(axis=(1, 3), dtype=np.float32)
    flat = out[height:].reshape(2, height // 2, width // 2)
    np.rint(quads @ _CHROMA_U + 128, casting="unsafe", out=flat[0])
    np.rint(quads @ _CHROMA_V + 128, casting="unsafe", out=flat[1])
    return out


def load_portrait(path: Path, *, sha256: str = "") -> Pixels:
    """The RGB pixels (height, width, 3) of a stored portrait; ValueError if its bytes are not the expected ones."""
    encoded = path.read_bytes()
    if sha256 and hashlib.sha256(encoded).hexdigest() != sha256:
        raise ValueError("the portrait's bytes do not have the expected hash")
    with Image.open(io.BytesIO(encoded)) as image:
        return np.asarray(image.convert("RGB"))
