"""What do the face's pixels say: is it sharp, is it a drawing? Looks at a levelled crop of fixed size."""

from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from adapters.image_pixels import Rgb, similarity, warp
from adapters.photo_classifier import PhotoClassifier
from domain.face_measures import CropMeasures, Keypoints, face_unit, middle, roll_of

SIDE, UNIT, EYE_LINE = 256, 72, 0.42
"""The crop: its side and the face unit in it in pixels, and the eyes' height over the side."""

BLUR_WINDOW = (slice(40, 216), slice(56, 200))
FACE_WINDOW = (slice(46, 230), slice(56, 200))
"""Rows and columns that show the face and little around it."""

REBLUR = 9
"""Taps of the second blur, as in the paper."""

NO_GRADIENT, HARD_EDGE = 1, 60
"""Of 255."""

BLACK, WHITE = 3, 252
"""Below and above, a photograph may be flat because the light was too little or too much: that says nothing."""

LEAST_UNCLIPPED = 0.2
"""Share of the face that must lie between them, or all of it is looked at: of line art nothing else would be left."""

LOW_CONTRAST = 53
"""Between the face's darkest and brightest twentieth. In such a picture a gradient of 1 is one: it was larger once."""

NEAR = np.ones((5, 5), np.uint8)
"""How far from a flat pixel a hard edge still is a drawn line."""


def measure_crop(rgb: Rgb, keypoints: Keypoints, classifier: PhotoClassifier | None = None) -> CropMeasures:
    """Sharpness and flatness of a face, at the same size and level for every picture; the classifier's word besides."""
    crop = level_crop(rgb, keypoints)
    grey = np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), np.uint8)
    flat, lines, strong = measure_gradients(grey[FACE_WINDOW])
    return CropMeasures(
        flat=flat,
        lines=lines,
        strong=strong,
        blur=measure_blur(grey[BLUR_WINDOW].astype(np.float32)),
        drawing=classifier.drawing(crop) if classifier else 0.0,
    )


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


def measure_gradients(grey: Rgb) -> tuple[float, float, float]:
    """Shares of the face's pixels with no gradient, with a hard edge beside such ones, and with a hard edge at all.

    Only an oval counts: what is behind a face may be as flat as it likes. Grain and sharpening make hard edges too,
    but leave nothing flat beside them.
    """
    inside = face_oval()
    small = grey.astype(np.int16)
    gradient = np.zeros_like(small)
    gradient[:-1, :-1] = np.abs(np.diff(small, axis=1))[:-1] + np.abs(np.diff(small, axis=0))[:, :-1]
    flat, hard = gradient <= NO_GRADIENT, gradient > HARD_EDGE
    near_flat = cv2.dilate(flat.astype(np.uint8), NEAR) > 0
    return (
        measure_flat(grey[inside], gradient[inside]),
        float((hard & near_flat)[inside].mean()),
        float(hard[inside].mean()),
    )


def measure_flat(grey: Rgb, gradient: npt.NDArray[np.int16]) -> float:
    """Share of a face's pixels (n) without gradient, black and white ones left out unless there is little else."""
    darkest, brightest = np.percentile(grey, (5, 95))
    least = 0 if brightest - darkest < LOW_CONTRAST else NO_GRADIENT
    telling = (grey > BLACK) & (grey < WHITE)
    if telling.mean() < LEAST_UNCLIPPED:
        return float((gradient <= NO_GRADIENT).mean())
    return float((gradient[telling] <= least).mean())


@cache
def face_oval() -> npt.NDArray[np.bool_]:
    """Which pixels of the window show the face: an ellipse about it."""
    oval = np.zeros((SIDE, SIDE), np.uint8)
    cv2.ellipse(oval, (128, 138), (72, 92), 0, 0, 360, 1, thickness=-1)
    return oval[FACE_WINDOW] > 0
