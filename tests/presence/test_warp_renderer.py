"""The built-in renderer: a portrait that talks."""

import pytest

from presence.renderers.warp import WarpRenderer
from support.renderer_contract import RendererContract


class TestWarpRenderer(RendererContract):
    """The 2D warp keeps the contract of all renderers."""

    @pytest.fixture
    def renderer(self) -> WarpRenderer:
        """The renderer under test."""
        return WarpRenderer()
