"""What do the face's pixels say: is it sharp, is it a drawing? Looks at a levelled crop of fixed size."""

import cv2
import numpy as np
import numpy.typing as npt

from adapters.image_pixels import Rgb, similarity, warp
from domain.face_measures import CropMeasures, Keypoints, face_unit, middle, roll_of

SIDE, UNIT, EYE_LINE = 256, 72, 0.42
"""The crop: its side and the face unit in it in pixels, and the eyes' height over the side."""

BLUR_WINDOW = (slice(40, 216), slice(56, 200))
DRAWING_WINDOW = (slice(30, 226), slice(40, 216))
"""Rows and columns that show the face and little around it."""

REBLUR = 9
"""Taps of the second blur, as in the paper."""

NO_GRADIENT, HARD_EDGE = 1, 60
"""Of 255."""


def measure_crop(rgb: Rgb, keypoints: Keypoints) -> CropMeasures:
    """Sharpness and flatness of a face, at the same size and level for every picture."""
    crop = cv2.cvtColor(level_crop(rgb, keypoints), cv2.COLOR_RGB2GRAY)
    flat, strong = measure_gradients(crop[DRAWING_WINDOW].astype(np.float32))
    return CropMeasures(flat=flat, strong=strong, blur=measure_blur(crop[BLUR_WINDOW].astype(np.float32)))


def level_crop(rgb: Rgb, keypoints: Keypoints) -> Rgb:
    """The face with level eyes, 256 x 256, its unit 72 pixels."""
    transform = similarity(
        scale=UNIT / max(face_unit(keypoints), 1.0),
        degrees=roll_of(keypoints),
        source=middle(keypoints[0], keypoints[1]),
        target=(SIDE / 2, SIDE * EYE_LINE),
    )
    return warp(rgb, transform, SIDE, SIDE)


def measure_blur(grey: npt.NDArray[np.float32]) -> float:
    """How little another blur takes away: Crete et al. 2007, "The blur effect", the worse of both directions."""
    return max(reblur_ratio(grey, axis=0), reblur_ratio(grey, axis=1))


def reblur_ratio(grey: npt.NDArray[np.float32], axis: int) -> float:
    """1 minus the share of gradient along `axis` that a blur along it takes away."""
    blurred = cv2.blur(grey, (1, REBLUR) if axis == 0 else (REBLUR, 1))
    before, after = np.abs(np.diff(grey, axis=axis)), np.abs(np.diff(blurred, axis=axis))
    total = float(before.sum())
    # A surface without any gradient is as blurred as can be.
    return 1.0 - float(np.maximum(before - after, 0).sum()) / total if total else 1.0


def measure_gradients(grey: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Shares of pixels with no gradient and with a hard edge."""
    gradient = np.abs(np.diff(grey, axis=1))[:-1] + np.abs(np.diff(grey, axis=0))[:, :-1]
    return float((gradient <= NO_GRADIENT).mean()), float((gradient > HARD_EDGE).mean())
