"""The still renderer."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from presence.pictures import Picture, i420_from_rgb
from presence.renderers.base import AvatarState
from presence.renderers.still import StillRenderer
from support.renderer_contract import KEYPOINTS, RendererContract


class TestStillRenderer(RendererContract):
    """The still renderer keeps the contract of all renderers."""

    @pytest.fixture
    def renderer(self) -> StillRenderer:
        """The renderer under test."""
        return StillRenderer()


def test_it_shows_the_portrait_itself(tmp_path: Path, portrait_rgb: NDArray[np.uint8]) -> None:
    """Each frame is the portrait, bit by bit, and later frames are not touched by what was drawn over one."""
    renderer = StillRenderer()
    renderer.prepare(portrait_rgb, KEYPOINTS, tmp_path)
    track = renderer.open(renderer.load(tmp_path), 1)
    picture = Picture(640, 480)
    for index in range(2):
        renderer.render_batch([track.job(np.zeros(1920, np.float32), index, AvatarState.IDLE, picture.i420)])
        assert np.array_equal(picture.i420, i420_from_rgb(portrait_rgb))
        picture.i420[:] = 0
