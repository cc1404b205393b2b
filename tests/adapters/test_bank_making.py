"""Banks are made in a process apart, by whatever renderer there is."""

import asyncio
import hashlib
import io
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from PIL import Image

from adapters.bank_making import BankMaker, CannotPrepare
from presence.renderers.bank_file import About, unpack
from presence.renderers.warp import WarpRenderer
from support.plugin_renderers import Plugin, install_plugin
from support.talking_faces import smiling

RGB, POINTS = smiling()
KEYPOINTS = tuple((float(x), float(y)) for x, y in POINTS)


def encoded() -> bytes:
    """The photograph as a JPEG."""
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "JPEG", quality=90)
    return file.getvalue()


JPEG = encoded()
SHA256 = hashlib.sha256(JPEG).hexdigest()


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Plugin:
    """Another package's renderers."""
    return install_plugin(tmp_path_factory.mktemp("plugin"))


@asynccontextmanager
async def maker(renderer: str, **how: object) -> AsyncIterator[BankMaker]:
    """A maker that is closed afterwards."""
    made = BankMaker(renderer, **{"environment": dict(os.environ), **how})  # type: ignore[arg-type]
    try:
        yield made
    finally:
        await made.aclose()


async def test_a_bank_of_the_built_in_renderer_is_what_it_prepares_itself(
    tmp_path: Path, measured: Callable[[str], None]
) -> None:
    """In the portrait's own size or in another, and the same bytes each time."""
    async with maker("warp") as full, maker("warp", longer_side=640) as small:
        assert await full.version() == "1"
        began = asyncio.get_running_loop().time()
        bank, again = await full.make(JPEG, SHA256, KEYPOINTS), await full.make(JPEG, SHA256, KEYPOINTS)
        measured(f"two banks took {asyncio.get_running_loop().time() - began:.2f} s")
        scaled = await small.make(JPEG, SHA256, KEYPOINTS)
    assert bank is not None
    assert scaled is not None
    assert again == bank
    assert (bank.width, bank.height, scaled.width, scaled.height) == (1280, 960, 640, 480)
    for one in (bank, scaled):
        folder = tmp_path / str(one.width)
        folder.mkdir()
        (folder / "bank.zip").write_bytes(one.data)
        about = About(renderer="warp", version="1", portrait_sha256=SHA256, width=one.width, height=one.height)
        unpack(folder / "bank.zip", about, folder)
        assets = WarpRenderer().load(folder)
        assert assets.bank.portrait.shape == (one.height * 3 // 2, one.width)
        assert assets.bank.fit.keypoints[0][0] == pytest.approx(KEYPOINTS[0][0] * one.width / 1280, abs=0.01)


async def test_a_renderer_may_want_nothing_stored() -> None:
    """What is as quick to prepare as to read has no bank."""
    async with maker("still") as still:
        assert await still.version() is None
        assert await still.make(JPEG, SHA256, KEYPOINTS) is None


@pytest.mark.parametrize(
    ("renderer", "sha256", "why"),
    [
        ("nobody", SHA256, "there is no renderer 'nobody'"),
        ("failing", SHA256, "RuntimeError: no such face"),
        ("flat", "0" * 64, "expected hash"),
        ("crashing", SHA256, r"its process ended \(exit status 9\)"),
    ],
)
async def test_what_cannot_be_prepared_is_said(plugin: Plugin, renderer: str, sha256: str, why: str) -> None:
    """Also where the renderer takes its process along; the next portrait gets a new one."""
    async with maker(renderer, environment=plugin.environ) as failing:
        for _ in range(2):
            with pytest.raises(CannotPrepare, match=why):
                await failing.make(JPEG, sha256, KEYPOINTS)


async def test_a_renderer_that_takes_too_long_is_cut_off(plugin: Plugin) -> None:
    """After its time its process is killed, and nothing of it stays."""
    async with maker("endless", environment=plugin.environ, within_s=1.5) as slow:
        with pytest.raises(CannotPrepare, match="took longer than"):
            await slow.make(JPEG, SHA256, KEYPOINTS)
        assert slow._process is None


async def test_an_idle_process_ends_and_another_one_comes(plugin: Plugin) -> None:
    """Its memory is not kept for the next upload."""
    async with maker("flat", environment=plugin.environ, idle_s=0.05) as flat:
        assert await flat.version() == "7"
        while flat._process is not None:  # noqa: ASYNC110 - a timer's work
            await asyncio.sleep(0.02)
        made = await flat.make(JPEG, SHA256, KEYPOINTS)
        assert made is not None
        assert made.version == "7"
