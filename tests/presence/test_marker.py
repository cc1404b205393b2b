"""The frame counter in the picture's corner."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from presence.pictures import Picture, i420_from_rgb
from presence.renderers.marker import MarkedRenderer, read_marker, write_marker
from presence.renderers.still import StillRenderer
from support.renderer_contract import HEIGHT, WIDTH, RendererContract


class TestMarkedRenderer(RendererContract):
    """A marked renderer keeps the contract of all renderers."""

    @pytest.fixture
    def renderer(self) -> MarkedRenderer:
        """The renderer under test."""
        return MarkedRenderer(StillRenderer())


@pytest.mark.parametrize("index", [0, 1, 2, 255, 32768, 65535])
def test_a_marker_reads_as_it_was_written(index: int) -> None:
    """Each index survives, and nothing outside of the corner is touched."""
    picture = Picture(WIDTH, HEIGHT)
    picture.i420[:] = 99
    write_marker(picture.i420, index)
    assert read_marker(picture.i420[:HEIGHT]) == index
    assert np.unique(picture.i420[16:HEIGHT]).tolist() == [99]
    assert np.unique(picture.i420[:16, 272:]).tolist() == [99]


def test_indices_wrap() -> None:
    """The counter has 16 bits."""
    picture = Picture(WIDTH, HEIGHT)
    write_marker(picture.i420, 65536 + 5)
    assert read_marker(picture.i420[:HEIGHT]) == 5


def test_a_marker_survives_a_bad_encoder() -> None:
    """Strong compression leaves the marker readable."""
    picture = Picture(WIDTH, HEIGHT)
    picture.i420[:] = 120
    write_marker(picture.i420, 0b1010_0110_0101_1001)
    packed = io.BytesIO()
    Image.fromarray(picture.i420[:HEIGHT]).save(packed, "JPEG", quality=10)
    assert read_marker(np.asarray(Image.open(packed))) == 0b1010_0110_0101_1001


def test_no_marker_is_seen_where_there_is_none(portrait_rgb: NDArray[np.uint8]) -> None:
    """A portrait, a black, a grey and a tiny picture have no marker; nor has one with a bit turned over."""
    assert read_marker(i420_from_rgb(portrait_rgb)[:480]) is None
    assert read_marker(np.full((HEIGHT, WIDTH), 16, np.uint8)) is None
    assert read_marker(np.full((HEIGHT, WIDTH), 128, np.uint8)) is None
    assert read_marker(np.full((8, 8), 16, np.uint8)) is None
    picture = Picture(WIDTH, HEIGHT)
    write_marker(picture.i420, 1234)
    picture.i420[:16, :16] = 255 - picture.i420[:16, :16]
    assert read_marker(picture.i420[:HEIGHT]) is None
