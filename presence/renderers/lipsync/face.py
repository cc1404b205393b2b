"""The part of a portrait that a mouth is made for, and the way back into the picture; it makes no mouth itself."""

from dataclasses import dataclass

import cv2
import numpy as np

from presence.renderers.base import Pixels
from presence.renderers.lipsync.wire import SIDE, Floats
from presence.renderers.warp.geometry import Box, even_box, face_from, ramp, yuv_from_rgb

EYES_DOWN, MOUTH_DOWN, WIDE = 0.34, 0.69, 0.74
"""Where eyes and mouth lie in a detector's box of a face with its chin, over its height; and its width over that."""
LEAST = 48
"""Pixels of a box's side below which nothing good can come."""
SIDES, TOP, BOTTOM = 0.14, (0.52, 0.62), (1.0, 0.92)
"""Feathers, over the box: from 0 to 1 within so much of each side; and from above and from below."""
HALF = 0.5
"""Above this nothing is pasted."""


@dataclass(frozen=True, kw_only=True)
class MouthPlace:
    """Where a portrait's mouth goes, with the weights of what is pasted in planes of full and half size."""

    whole: Box
    """The face, which is what the model sees."""
    lower: Box
    """The part of it that is pasted."""
    weights: Floats
    half_weights: Floats


def face_box(keypoints: Floats, size: tuple[int, int]) -> Box:
    """The face in a picture of (height, width), as a detector would frame it. ValueError for keypoints of no face.

    Models of this kind are trained on such boxes, stretched to a square: the mouth belongs into the lower half.
    """
    face = face_from(keypoints)
    eyes = (face.left_eye + face.right_eye) / 2
    height = float(face.mouth[1] - eyes[1]) / (MOUTH_DOWN - EYES_DOWN)
    middle, top = float(eyes[0] + face.mouth[0]) / 2, float(eyes[1]) - EYES_DOWN * height
    half = WIDE * max(height, 0.0) / 2
    box = even_box(middle - half, top, middle + half, top + height, size=size)
    if min(box.shape) < LEAST:
        raise ValueError(f"the face is too small or lies on its side: its box is {box.shape[1]}x{box.shape[0]} pixels")
    return box


def model_face(image: Pixels, box: Box) -> Floats:
    """What a model sees (6, 96, 96) of an RGB picture: blue, green, red with the lower half black, and without."""
    seen = cv2.resize(np.ascontiguousarray(image[box.luma]), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    planes = seen[..., ::-1].transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    masked = planes.copy()
    masked[:, SIDE // 2 :] = 0
    return np.concatenate([masked, planes])


def mouth_place(box: Box) -> MouthPlace:
    """The lower half of a face's box, with soft edges."""
    height = box.shape[0]
    top = box.top + int(height * HALF) // 2 * 2
    lower = Box(left=box.left, top=top, right=box.right, bottom=box.bottom)
    return MouthPlace(whole=box, lower=lower, weights=_weights(box, lower, 1), half_weights=_weights(box, lower, 2))


def paste(mouth: Floats, place: MouthPlace, share: float, out: Pixels) -> None:
    """Blend a mouth (3, 96, 96) by its weights times `share` into I420 (height * 3/2, width). The rest stays."""
    yuv = yuv_from_rgb(mouth[::-1].transpose(1, 2, 0) * np.float32(255))
    rows, width = out.shape
    height = rows * 2 // 3
    chroma = out[height:].reshape(2, height // 2, width // 2)
    _blend(yuv[..., 0], place, out[:height][place.lower.luma], place.weights * np.float32(share))
    half = place.half_weights * np.float32(share)
    for channel, plane in enumerate(chroma):
        _blend(yuv[..., channel + 1], place, plane[place.lower.chroma], half)


def _blend(channel: Floats, place: MouthPlace, part: Pixels, weights: Floats) -> None:
    rows, columns = part.shape
    scale = place.whole.shape[1] // columns
    whole = (columns, place.whole.shape[0] // scale)
    made = cv2.resize(np.ascontiguousarray(channel), whole, interpolation=cv2.INTER_CUBIC)[whole[1] - rows :]
    # Cubic curves overshoot at edges, and limited range is a promise.
    made = np.clip(made, 16, 235 if scale == 1 else 240)
    part[:] = np.rint(part + (made - part) * weights)


def _weights(whole: Box, lower: Box, scale: int) -> Floats:
    """How much of a mouth is seen at each pixel of the lower half, 0 at its edges."""
    rows = (np.arange(lower.top, lower.bottom, scale) - whole.top + scale / 2) / whole.shape[0]
    columns = (np.arange(lower.shape[1] // scale, dtype=np.float32) + 0.5) * scale / whole.shape[1]
    down = ramp(rows, *TOP) * ramp(-rows, -BOTTOM[0], -BOTTOM[1])
    across = ramp(columns, 0.0, SIDES) * ramp(1 - columns, 0.0, SIDES)
    weights: Floats = np.outer(down, across).astype(np.float32)
    return weights
