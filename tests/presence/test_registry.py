"""Renderers are found by their names."""

import pytest

from presence.renderers.registry import UnknownRenderer, find_renderer
from presence.renderers.still import StillRenderer
from presence.renderers.warp import WarpRenderer


@pytest.mark.parametrize(("name", "kind"), [("warp", WarpRenderer), ("still", StillRenderer)])
def test_the_built_in_renderers_are_found(name: str, kind: type) -> None:
    """As any other package's would be."""
    assert type(find_renderer(name)) is kind


def test_an_unknown_renderer_is_named() -> None:
    """The message says what there is instead."""
    with pytest.raises(UnknownRenderer, match=r"'wrap'.*still, warp"):
        find_renderer("wrap")
