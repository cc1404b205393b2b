"""Pictures with known verdicts, real and made, and fixtures of the loaded face detector."""

import io
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from adapters.detector_file import detector_path as path_in_cache
from adapters.detector_file import is_detector_ready, pictures_folder
from adapters.face_alignment import PortraitMaker
from adapters.face_detection import FaceDetector
from support.real_parts import missing

Rgb = NDArray[np.uint8]

SKIMAGE = Path(skimage.data.__file__).parent


def cache_folder() -> Path:
    """The per-user cache that `greenroom setup` fills."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "greenroom"


@pytest.fixture(scope="session")
def detector_path() -> Path:
    """The detector's file; without it tests skip, but with CI=true they fail."""
    if not is_detector_ready(cache_folder()):
        missing("the face detector is not in the cache; run `greenroom setup`")
    return path_in_cache(cache_folder())


@pytest.fixture(scope="session")
def face_detector(detector_path: Path) -> FaceDetector:
    """The real detector on the CPU; loading takes a second or two, so once a run."""
    return FaceDetector(detector_path, device="cpu", threads=1)


@pytest.fixture(scope="session")
def portrait_maker(face_detector: FaceDetector) -> PortraitMaker:
    """The real face pipeline."""
    return PortraitMaker(face_detector)


# --- real pictures -------------------------------------------------------------------------------------------


def astronaut() -> bytes:
    """A portrait photograph, 512x512 PNG: accepted. Its face unit is 43 pixels."""
    return (SKIMAGE / "astronaut.png").read_bytes()


def no_face() -> bytes:
    """A cup of coffee, 600x400 PNG."""
    return (SKIMAGE / "coffee.png").read_bytes()


def cat() -> bytes:
    """A cat's face, 451x300 PNG, which is none for the detector."""
    return (SKIMAGE / "chelsea.png").read_bytes()


def motorcycle() -> bytes:
    """A motorcycle in a garage, 741x500 PNG: a detector that looks closely sees half a face in it."""
    return (SKIMAGE / "motorcycle_right.png").read_bytes()


def small_face() -> bytes:
    """A man at a camera, 512x512 PNG, his face seen from the side at 32 pixels."""
    return (SKIMAGE / "camera.png").read_bytes()


def six_faces() -> bytes:
    """Six people, 1280x886 JPEG, shipped in insightface's wheel."""
    # insightface itself would take 2 s to import, and its folder is all that is wanted.
    return (SKIMAGE.parents[1] / "insightface" / "data" / "images" / "t1.jpg").read_bytes()


def tiny_portrait() -> bytes:
    """A man's face that fills 112x112 pixels, PNG, shipped in insightface's wheel."""
    return (SKIMAGE.parents[1] / "insightface" / "data" / "images" / "Tom_Hanks_54745.png").read_bytes()


def mask() -> bytes:
    """A surgical mask that nobody wears, 709x354 JPEG, shipped in insightface's wheel."""
    return (SKIMAGE.parents[1] / "insightface" / "data" / "images" / "mask_blue.jpg").read_bytes()


def newton() -> bytes:
    """An oil portrait, 768x432 PNG: accepted, its roll beyond 5 degrees."""
    return (pictures_folder(cache_folder()) / "newton.png").read_bytes()


def gauss() -> bytes:
    """An oil portrait, 1024x1305 PNG: accepted."""
    return (pictures_folder(cache_folder()) / "gauss.png").read_bytes()


def conference() -> bytes:
    """A group of 29, 3000x2171 JPEG."""
    return (pictures_folder(cache_folder()) / "solvay_conference_1927.jpg").read_bytes()


# --- pixels and files ----------------------------------------------------------------------------------------


def pixels(data: bytes) -> Rgb:
    """A picture's pixels, height x width x 3."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.uint8)


def picture(data: bytes) -> Image.Image:
    """A picture as Pillow's image, in RGB."""
    return Image.fromarray(pixels(data))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """An image file."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def file_of(rgb: Rgb, kind: str = "PNG") -> bytes:
    """An image file of pixels."""
    # Packed little: packing well takes longer than looking at the picture.
    return encoded(Image.fromarray(rgb), kind, **({"compress_level": 1} if kind == "PNG" else {}))


# --- made pictures -------------------------------------------------------------------------------------------


def resized(rgb: Rgb, factor: float) -> Rgb:
    """The picture at another size."""
    height, width = rgb.shape[:2]
    return np.asarray(Image.fromarray(rgb).resize((round(width * factor), round(height * factor))), np.uint8)


def blurred(rgb: Rgb, sigma: float) -> Rgb:
    """The picture out of focus."""
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), sigma), np.uint8)


def turned(rgb: Rgb, degrees: float) -> Rgb:
    """The picture turned clockwise about its middle, its edge repeated."""
    height, width = rgb.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1.0)
    return np.asarray(cv2.warpAffine(rgb, turn, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def on_canvas(rgb: Rgb, width: int, height: int) -> Rgb:
    """The picture in the middle of a grey canvas."""
    canvas = np.full((height, width, 3), 128, np.uint8)
    top, left = (height - rgb.shape[0]) // 2, (width - rgb.shape[1]) // 2
    canvas[top : top + rgb.shape[0], left : left + rgb.shape[1]] = rgb
    return canvas


def two_faces(factor: float = 1.0) -> bytes:
    """The astronaut beside herself at `factor` of her size, as PNG."""
    first, second = pixels(astronaut()), resized(pixels(astronaut()), factor)
    canvas = np.full((first.shape[0], first.shape[1] + second.shape[1], 3), 128, np.uint8)
    canvas[:, : first.shape[1]] = first
    canvas[: second.shape[0], first.shape[1] :] = second
    return file_of(canvas)


def cartoon() -> bytes:
    """A flat drawing of the astronaut: few colours, no shading."""
    smooth = cv2.bilateralFilter(resized(pixels(astronaut()), 2.0), 25, 80, 80)
    return encoded(Image.fromarray(smooth).quantize(7, dither=Image.Dither.NONE).convert("RGB"), "PNG")
