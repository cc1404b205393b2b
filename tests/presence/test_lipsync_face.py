"""The face that a mel-to-mouth model sees, and the mouth's way back into the portrait."""

import numpy as np
import pytest
from numpy.typing import NDArray

from presence.pictures import i420_from_rgb
from presence.renderers.lipsync.face import face_box, model_face, mouth_place, paste
from presence.renderers.warp.geometry import Box
from support.renderer_contract import KEYPOINTS

POINTS = np.array([[260, 200], [380, 200], [320, 275], [275, 330], [365, 330]], np.float32)
BOX = face_box(POINTS, (480, 640))


def test_the_mouth_lies_in_the_lower_half_and_the_eyes_in_the_upper() -> None:
    """The box holds all five points, with the nose's tip near the middle, where the mask begins."""
    rows = (POINTS[:, 1] - BOX.top) / BOX.shape[0]
    columns = (POINTS[:, 0] - BOX.left) / BOX.shape[1]
    assert rows == pytest.approx([0.34, 0.34, 0.54, 0.69, 0.69], abs=0.02)
    assert (columns > 0.15).all()
    assert (columns < 0.85).all()


def test_a_face_at_the_border_is_cut() -> None:
    """A box does not leave the picture, and its sides are even."""
    box = face_box(POINTS, (380, 400))
    assert (box.right, box.bottom) == (400, 380)
    assert not any(side % 2 for side in (box.left, box.top, *box.shape))


@pytest.mark.parametrize(
    "keypoints",
    [POINTS / 8, POINTS[[1, 0, 2, 4, 3]], POINTS * (1, -1) + (0, 480)],
    ids=["small", "mirrored", "upside down"],
)
def test_what_is_no_upright_face_is_refused(keypoints: NDArray[np.float32]) -> None:
    """Small, mirrored and upside-down faces are a ValueError."""
    with pytest.raises(ValueError, match=r"face"):
        face_box(keypoints.astype(np.float32), (480, 640))


def test_a_model_sees_blue_first_and_no_mouth_in_the_mask() -> None:
    """Six planes in 0..1: the lower half of the first three is black, the others are whole."""
    image = np.zeros((480, 640, 3), np.uint8)
    image[:] = (255, 51, 0)
    seen = model_face(image, BOX)
    assert seen.shape == (6, 96, 96)
    assert seen.dtype == np.float32
    assert np.allclose(seen[3:], np.array([0, 0.2, 1], np.float32)[:, None, None])
    assert np.array_equal(seen[:3, :48], seen[3:, :48])
    assert not seen[:3, 48:].any()


def test_a_mouth_touches_only_the_lower_face(portrait_rgb: NDArray[np.uint8]) -> None:
    """Beyond the lower half of the box each byte is the portrait's, and within it the middle is the mouth's colour."""
    portrait = i420_from_rgb(portrait_rgb)
    out, place = portrait.copy(), mouth_place(BOX)
    paste(np.zeros((3, 96, 96), np.float32), place, 1.0, out)
    changed = np.argwhere(out[:480] != portrait[:480])
    assert changed.min(axis=0)[0] >= BOX.top + BOX.shape[0] // 2
    assert changed.max(axis=0)[0] < BOX.bottom
    assert changed.min(axis=0)[1] >= BOX.left
    assert changed.max(axis=0)[1] < BOX.right
    assert out[int(POINTS[3, 1]), int(POINTS[2, 0])] == 16
    planes = [whole[480:].reshape(2, 240, 320) for whole in (out, portrait)]
    outside = np.ones((240, 320), bool)
    outside[place.lower.chroma] = False
    assert np.array_equal(planes[0][:, outside], planes[1][:, outside])


def test_edges_are_soft() -> None:
    """From the border inwards the weight grows by small steps from 0 to 1."""
    place = mouth_place(BOX)
    for line in (place.weights[place.weights.shape[0] // 2], place.weights[:, place.weights.shape[1] // 2]):
        assert line.max() == 1
        assert max(line[0], line[-1]) < 0.05
        assert np.abs(np.diff(line)).max() < 0.2


def test_the_face_itself_as_the_mouth_changes_little(portrait_rgb: NDArray[np.uint8]) -> None:
    """What the model was shown lands where it came from: colours and places agree."""
    portrait, box = i420_from_rgb(portrait_rgb), face_box(KEYPOINTS, (480, 640))
    place, mouth = mouth_place(box), model_face(portrait_rgb, box)[3:]

    def change(pasted: NDArray[np.float32]) -> float:
        out = portrait.copy()
        paste(pasted, place, 1.0, out)
        return float(np.abs(out.astype(int) - portrait).sum()) / place.weights.sum()

    assert change(mouth) < 3
    for wrong in (mouth[::-1], mouth[:, :, ::-1], np.roll(mouth, 4, axis=1), np.roll(mouth, 4, axis=2)):
        assert change(wrong) > 1.5 * change(mouth)


def test_half_a_share_is_halfway() -> None:
    """A share of a half mixes portrait and mouth."""
    box = Box(left=0, top=0, right=96, bottom=96)
    out = np.full((144, 96), 128, np.uint8)
    paste(np.ones((3, 96, 96), np.float32), mouth_place(box), 0.5, out)
    assert out[72, 48] == pytest.approx((128 + 235) / 2, abs=1)
