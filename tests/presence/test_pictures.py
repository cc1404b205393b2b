"""Pictures as the video path needs them."""

from pathlib import Path

import numpy as np
import pytest

from presence.pictures import Picture, i420_from_rgb, load_portrait
from support.portrait_pictures import PortraitFile

COLOURS = {  # ITU-R BT.601, limited range
    (0, 0, 0): (16, 128, 128),
    (255, 255, 255): (235, 128, 128),
    (255, 0, 0): (81, 90, 240),
    (0, 255, 0): (145, 54, 34),
    (0, 0, 255): (41, 240, 110),
}


@pytest.mark.parametrize(("rgb", "yuv"), COLOURS.items())
def test_colours_become_their_bt601_values(rgb: tuple[int, int, int], yuv: tuple[int, int, int]) -> None:
    """The pure colours have the values of the standard, in the right planes."""
    i420 = i420_from_rgb(np.full((4, 8, 3), rgb, np.uint8))
    assert i420.shape == (6, 8)
    assert np.unique(i420[:4]).tolist() == [yuv[0]]
    assert np.unique(i420[4]).tolist() == [yuv[1]]
    assert np.unique(i420[5]).tolist() == [yuv[2]]


def test_chroma_is_the_mean_of_four_pixels() -> None:
    """A red and a blue column share one chroma sample, which lies between them."""
    image = np.zeros((2, 2, 3), np.uint8)
    image[:, 0], image[:, 1] = (255, 0, 0), (0, 0, 255)
    assert i420_from_rgb(image)[2].tolist() == [165, 175]


@pytest.mark.parametrize("size", [(3, 2), (2, 3), (0, 2)])
def test_odd_sizes_are_refused(size: tuple[int, int]) -> None:
    """I420 has no half pixels."""
    with pytest.raises(ValueError, match="even"):
        Picture(*size)


def test_a_picture_s_two_views_are_one_memory() -> None:
    """What is drawn into the array is what the encoder reads."""
    picture = Picture(4, 2)
    picture.i420[2, 3] = 7
    assert picture.data[-1] == 7


def test_a_portrait_with_other_bytes_is_refused(portrait: PortraitFile) -> None:
    """The hash of a stored portrait is checked before it is shown."""
    assert load_portrait(portrait.path, sha256=portrait.sha256).shape == (960, 1280, 3)
    with pytest.raises(ValueError, match="hash"):
        load_portrait(portrait.path, sha256="0" * 64)


def test_a_missing_portrait_is_an_os_error(tmp_path: Path) -> None:
    """A portrait that is not there is no picture of another kind."""
    with pytest.raises(OSError, match="No such file"):
        load_portrait(tmp_path / "missing.jpg")
