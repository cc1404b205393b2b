"""Where the lips part."""

import numpy as np
import pytest

from presence.renderers.warp.geometry import face_from
from presence.renderers.warp.lips import LipLine, find_lip_line
from support.talking_faces import DRAWN_POINTS, drawn, line_of, smiling


def heights(line: LipLine) -> list[float]:
    """The line's height in pixels of a drawn face, at 21 places."""
    u = np.linspace(-1, 1, 21)
    return list(face_from(DRAWN_POINTS).mouth_pixels(u, np.polyval(line.curve, u))[:, 1])


@pytest.mark.parametrize("sag", [-6, 0, 8, 24])
def test_a_closed_mouth_parts_at_its_dark_line(sag: int) -> None:
    """The curve follows the line within two pixels, whichever way it bends, and is trusted."""
    line = find_lip_line(drawn(sag=sag), face_from(DRAWN_POINTS))
    assert heights(line)[2:-2] == pytest.approx(line_of(sag)[2:-2], abs=2)
    assert not line.parted
    assert line.quality > 0.9


def test_a_smile_parts_below_its_teeth() -> None:
    """Upper teeth that the portrait shows stay above the line, so that they stay where they are."""
    line = find_lip_line(drawn(sag=22, teeth=True), face_from(DRAWN_POINTS))
    assert line.parted
    assert heights(line)[6:-6] == pytest.approx(line_of(22)[6:-6], abs=4)


def test_a_photographed_smile_is_one() -> None:
    """Real teeth are told from lips and skin, and the mouth is trusted a little less than a closed one."""
    image, points = smiling()
    line = find_lip_line(image, face_from(points))
    assert line.parted
    assert 0.5 < line.quality < 0.9
    assert np.polyval(line.curve, 0.0) > 0.15


def test_a_mouth_that_cannot_be_seen_is_not_trusted() -> None:
    """Under a beard or in a blur there is no line: the quality is nothing, the line straight."""
    line = find_lip_line(drawn(lips=False), face_from(DRAWN_POINTS))
    assert line.quality < 0.05
    assert line.curve == (0.0,)


def test_a_turned_head_is_trusted_less() -> None:
    """The nearer the nose is to one side, the less the mouth will move; turned left and right are alike."""
    qualities = []
    for shift in (0, 22, -22, 40):
        points = DRAWN_POINTS.copy()
        points[2, 0] += shift
        qualities.append(find_lip_line(drawn(), face_from(points)).quality)
    frontal, right, left, profile = qualities
    assert frontal > right == left > profile == 0


def test_keypoints_of_no_face_are_refused() -> None:
    """Points on top of each other, and mirrored ones, are a ValueError, not a picture turned inside out."""
    for points in (np.full((5, 2), 100, np.float32), DRAWN_POINTS[[1, 0, 2, 4, 3]]):
        with pytest.raises(ValueError, match="no face"):
            face_from(points)


def test_an_open_mouth_parts_at_its_lower_lip() -> None:
    """What stands open stays open above the line; such a mouth is trusted half as much as a closed one."""
    line = find_lip_line(drawn(sag=20, gap=24), face_from(DRAWN_POINTS))
    assert line.parted
    assert heights(line)[6:-6] == pytest.approx(line_of(20)[6:-6], abs=5)
    assert 0.2 < line.quality <= 0.5


def test_a_beard_is_no_open_mouth() -> None:
    """Dark from the lips to the chin is hair: the mouth does not part in the middle of it."""
    image = drawn()
    image[524:620, 560:720] = (60, 45, 40)
    line = find_lip_line(image, face_from(DRAWN_POINTS))
    assert not line.parted


def test_a_pale_chin_is_no_row_of_teeth() -> None:
    """Powder, a white beard or a light from below do not part the chin."""
    image = drawn()
    image[540:640, 560:720] = (225, 215, 205)
    line = find_lip_line(image, face_from(DRAWN_POINTS))
    assert not line.parted
    assert abs(np.polyval(line.curve, 0.0)) < 0.1


def test_a_shining_lip_is_no_row_of_teeth() -> None:
    """Gloss is paler than the lip around it, not paler than the skin: the mouth parts above it."""
    image = drawn(sag=8)
    image[532:541, 612:668] = (225, 180, 155)
    line = find_lip_line(image, face_from(DRAWN_POINTS))
    assert not line.parted
    assert heights(line)[6:-6] == pytest.approx(line_of(8)[6:-6], abs=3)
