"""Mouth, lids and head of the 2D warp, as pixels."""

import numpy as np
import pytest
from numpy.typing import NDArray

from presence.pictures import i420_from_rgb
from presence.renderers.warp.bank import build_bank
from presence.renderers.warp.canvas import Canvas, planes_of
from presence.renderers.warp.eyes import find_eyes, paint_lids
from presence.renderers.warp.geometry import Box, face_from
from presence.renderers.warp.head import Head, HeadPose
from presence.renderers.warp.lips import find_lip_line
from presence.renderers.warp.motion import Pose
from presence.renderers.warp.mouth import OPENNESSES, WIDTHS, Mouth, MouthPose
from support.talking_faces import DRAWN_POINTS, drawn, smiling

Pixels = NDArray[np.uint8]
WIDEST = MouthPose(openness=1.0)
REST = Pose(head=HeadPose(), lids=0.0)


def mouth_of(image: Pixels, points: NDArray[np.float32]) -> tuple[Mouth, Pixels]:
    """A face's mouth and portrait."""
    portrait, face = i420_from_rgb(image), face_from(points)
    return Mouth(portrait, face, find_lip_line(image, face)), portrait


def held(image: Pixels, pose: MouthPose, points: NDArray[np.float32] = DRAWN_POINTS) -> tuple[Pixels, Pixels, Box]:
    """The portrait, the portrait with its mouth in a pose, and the box that may change."""
    mouth, portrait = mouth_of(image, points)
    drawn_over = portrait.copy()
    mouth.draw(pose, planes_of(drawn_over))
    return portrait, drawn_over, mouth.box


def outside(picture: Pixels, box: Box) -> Pixels:
    """A copy with the box's inside blackened."""
    copy = picture.copy()
    for plane, part in zip(planes_of(copy), (box.luma, box.chroma, box.chroma), strict=True):
        plane[part] = 0
    return copy


def test_a_closed_mouth_is_the_portrait() -> None:
    """Without any opening nothing is bent, wherever in the box."""
    portrait, closed, _ = held(drawn(), MouthPose())
    assert np.array_equal(portrait, closed)


@pytest.mark.parametrize("width", [-1.0, 0.0, 1.0])
def test_an_open_mouth_ends_without_a_seam(width: float) -> None:
    """Outside of the box nothing changes, and along its border hardly anything: no edge can be seen."""
    portrait, opened, box = held(*smiling()[:1], MouthPose(openness=1.0, width=width), points=smiling()[1])
    assert np.array_equal(outside(portrait, box), outside(opened, box))
    change = np.abs(planes_of(opened)[0].astype(int) - planes_of(portrait)[0])[box.luma]
    rim = np.concatenate([change[:2].ravel(), change[-2:].ravel(), change[:, :2].ravel(), change[:, -2:].ravel()])
    assert change.max() > 60
    assert rim.max() <= 3


def test_an_open_mouth_shows_dark_below_teeth() -> None:
    """Down the middle: bright teeth, then dark, then the lower lip, then a chin that has come down."""
    portrait, opened, _ = held(drawn(), WIDEST)
    column = planes_of(opened)[0][:, 640].astype(int)
    teeth, inside = column[521:526].mean(), column[536:544].mean()
    assert teeth > inside + 50
    assert inside < 70
    assert column[520:545].min() < planes_of(portrait)[0][500:560, 640].min() + 10
    assert column[552:572].mean() > inside + 30


def test_the_chin_comes_down_with_the_jaw() -> None:
    """The chin's edge moves down by a few hundredths of the face, and not further than a jaw goes."""
    image = drawn()
    image[600:] = (20, 20, 20)
    portrait, opened, _ = held(image, WIDEST)
    edges = [int(np.argmax(planes_of(picture)[0][560:700, 640] < 60)) for picture in (portrait, opened)]
    assert 8 <= edges[1] - edges[0] <= 28


def test_teeth_of_a_smile_stay() -> None:
    """The teeth that the portrait shows are neither moved nor painted over."""
    portrait, opened, _ = held(drawn(sag=22, teeth=True), WIDEST)
    before, after = (planes_of(picture)[0][526:538, 630:650].astype(int) for picture in (portrait, opened))
    assert np.abs(before - after).max() <= 6


def test_rounded_lips_are_narrower_than_spread_ones() -> None:
    """The dark opening of an "oo" has fewer columns than that of an "ee"."""
    widths = []
    for width in (-1.0, 1.0):
        portrait, opened, _ = held(drawn(), MouthPose(openness=0.8, width=width))
        darker = planes_of(portrait)[0].astype(int) - planes_of(opened)[0] > 30
        widths.append(int(darker[515:560].any(axis=0).sum()))
    assert widths[0] < 0.85 * widths[1]


def test_pupils_are_found_beside_bad_keypoints() -> None:
    """A keypoint that misses the pupil by a twelfth of the eyes' distance is put right."""
    points = DRAWN_POINTS.copy()
    points[:2] += (9, -5)
    found = find_eyes(drawn(), face_from(points))
    assert [(eye.x, eye.y) for eye in found] == [pytest.approx(point, abs=3) for point in DRAWN_POINTS[:2]]


def test_a_closed_lid_hides_the_eye_and_a_lower_one_more() -> None:
    """The closed lid is skin from crease to edge; each level hides more of white and pupil, none changes the border."""
    image = drawn()
    portrait = planes_of(i420_from_rgb(image))[0].astype(int)
    for lids, (x, y) in zip(paint_lids(image, face_from(DRAWN_POINTS)), DRAWN_POINTS[:2].astype(int), strict=True):
        skin = portrait[y - 24, x]
        eyes = []
        for patch in lids.patches:
            luma = portrait.copy()
            luma[lids.box.luma] = planes_of(patch)[0]
            eyes.append(luma[y - 9 : y + 10, x - 20 : x + 21])
            assert np.abs(luma - portrait)[y - 30 : y - 24, x - 40 : x + 41].max() <= 12
        visible = [int((np.abs(eye - skin) > 30).sum()) for eye in eyes]
        assert visible[0] > visible[1] > visible[2]
        assert np.abs(eyes[2][4:10, 10:31] - skin).max() < 25


def test_a_head_at_rest_is_the_portrait() -> None:
    """No movement, no interpolation."""
    portrait, out = moved(HeadPose())
    assert np.array_equal(portrait, out)


@pytest.mark.parametrize(
    "pose",
    [HeadPose(across=0.05), HeadPose(down=0.05), HeadPose(roll=0.04), HeadPose(turn=0.05), HeadPose(nod=0.05)],
)
def test_a_moved_head_leaves_the_border(pose: HeadPose) -> None:
    """Something moves in the face, nothing at the picture's border and along the rim of the box."""
    portrait, out = moved(pose)
    luma = np.abs(planes_of(portrait)[0].astype(int) - planes_of(out)[0])
    assert luma[350:560, 560:720].max() > 30
    for rim in (luma[:2], luma[-2:], luma[:, :2], luma[:, -2:]):
        assert rim.max() == 0


def test_a_head_moves_to_the_side_that_was_asked() -> None:
    """Positive is right and down: the left eye's dark lands where the pose says, within a pixel."""
    _, out = moved(HeadPose(across=0.05, down=0.03))
    luma = planes_of(out)[0][370:430, 540:620].astype(float)
    dark = np.clip(80 - luma, 0, None)
    rows, columns = np.mgrid[370:430, 540:620]
    middle = float((dark * columns).sum() / dark.sum()), float((dark * rows).sum() / dark.sum())
    assert middle == pytest.approx((580 + 0.05 * 120, 400 + 0.03 * 120), abs=1.0)


def moved(pose: HeadPose) -> tuple[Pixels, Pixels]:
    """A drawn portrait and the same with its head in a pose."""
    portrait = i420_from_rgb(drawn())
    out = portrait.copy()
    Head(face_from(DRAWN_POINTS), (960, 1280)).draw(pose, planes_of(portrait), planes_of(out))
    return portrait, out


def test_an_untrusted_mouth_stays_shut() -> None:
    """Where no line was found the jaw stretches the skin, and nothing dark is painted into it."""
    image = drawn(lips=False)
    portrait, opened, _ = held(image, WIDEST)
    assert not np.array_equal(portrait, opened)
    assert planes_of(opened)[0][500:600, 600:680].min() >= planes_of(portrait)[0][500:600, 600:680].min() - 2


def canvas_of(points: NDArray[np.float32] = DRAWN_POINTS) -> Canvas:
    """A drawn face's canvas."""
    bank, face = build_bank(drawn(), points), face_from(points)
    return Canvas(bank, Mouth(bank.portrait, face, bank.line), Head(face, (bank.fit.height, bank.fit.width)))


def test_a_mouth_that_was_drawn_before_is_the_same_and_few_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shape that comes again, and one that was forgotten meanwhile, look as on a fresh canvas."""
    monkeypatch.setattr("presence.renderers.warp.canvas.KEPT_BYTES", 400_000)
    canvas, out, fresh = canvas_of(), (planes := i420_from_rgb(drawn())).copy(), planes.copy()
    for openness in (0.2, 0.9, 0.5, 0.2, 0.7, 0.9, 0.9):
        canvas.draw(REST, MouthPose(openness=openness), out)
        canvas_of().draw(REST, MouthPose(openness=openness), fresh)
        assert np.array_equal(out, fresh), openness


def test_mouths_come_in_small_steps() -> None:
    """The nearest shape is at most half a step away; a closed mouth has no width."""
    rounded = MouthPose(openness=0.513, width=-0.41).rounded()
    assert rounded.openness == pytest.approx(0.513, abs=0.5 / OPENNESSES)
    assert rounded.width == pytest.approx(-0.41, abs=0.5 / WIDTHS)
    assert MouthPose(openness=0.4 / OPENNESSES, width=1.0).rounded() == MouthPose()
