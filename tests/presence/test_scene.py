"""From files to a track: a stored bank, one made at the join, and what stands in for something slow."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from presence import scene as scenes
from presence.processes.protocol import Join
from presence.renderers.bank_file import About, pack
from presence.renderers.base import AvatarState, Renderer
from presence.renderers.still import StillRenderer
from presence.renderers.warp import WarpRenderer
from presence.scene import Scene, SceneLoader, fitted
from support.talking_faces import drawn, smiling

POINTS = tuple((float(x), float(y)) for x, y in smiling()[1])
SOUND = np.zeros(1920, np.float32)


@pytest.fixture(scope="module")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photograph as a file."""
    path = tmp_path_factory.mktemp("portrait") / "4x3.png"
    Image.fromarray(smiling()[0]).save(path, compress_level=1)
    return path


def join_of(portrait: Path, **changes: object) -> Join:
    """An order to show it."""
    values: dict[str, object] = {
        "session_id": "s",
        "generation": 3,
        "platform": "livekit",
        "url": "ws://x",
        "token": "t",
        "portrait_path": str(portrait),
        "portrait_sha256": hashlib.sha256(portrait.read_bytes()).hexdigest(),
        "keypoints": POINTS,
        "width": 1280,
        "height": 960,
        "renderer": "warp",
    }
    return Join(**(values | changes))  # type: ignore[arg-type]


def bank_of(join: Join, renderer: Renderer, folder: Path, version: str = "1") -> Path:
    """What a renderer has prepared for an order."""
    prepared = folder / "prepared"
    prepared.mkdir()
    image, points = fitted(smiling()[0], POINTS, (join.width, join.height))
    renderer.prepare(image, points, prepared)
    about = About(
        renderer=join.renderer,
        version=version,
        portrait_sha256=join.portrait_sha256,
        width=join.width,
        height=join.height,
    )
    file = folder / "bank.zip"
    file.write_bytes(pack(prepared, about))
    return file


def frame_of(scene: Scene, size: tuple[int, int] = (1280, 960)) -> NDArray[np.uint8]:
    """The first frame of a scene."""
    out = np.zeros((size[1] * 3 // 2, size[0]), np.uint8)
    scene.renderer.render_batch([scene.track.job(SOUND, 0, AvatarState.IDLE, out)])
    return out


class Counted(WarpRenderer):
    """Counts what it prepares, and may take long or fail."""

    def __init__(self, seconds: float = 0.0, error: Exception | None = None) -> None:
        self.prepared = 0
        self._seconds, self._error = seconds, error

    def prepare(self, image: NDArray[np.uint8], keypoints: NDArray[np.float32], out_dir: Path) -> None:
        """As told."""
        self.prepared += 1
        time.sleep(self._seconds)
        if self._error is not None:
            raise self._error
        super().prepare(image, keypoints, out_dir)


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Counted]:
    """Puts a renderer under a name."""

    def put(name: str, renderer: Counted) -> Counted:
        find = scenes.find_renderer
        monkeypatch.setattr(scenes, "find_renderer", lambda asked: renderer if asked == name else find(asked))
        return renderer

    return put


async def test_a_stored_bank_is_loaded_and_nothing_prepared(
    portrait: Path, tmp_path: Path, install: Callable[..., Counted]
) -> None:
    """The pictures are those of a bank that was made at the join; not even the portrait is read."""
    warp = install("warp", Counted())
    join = join_of(portrait)
    made = frame_of(await SceneLoader(join).first())
    assert warp.prepared == 1
    bank = bank_of(join, WarpRenderer(), tmp_path)
    stored = join_of(portrait, bank_path=str(bank), portrait_path="missing.jpg")
    assert np.array_equal(frame_of(await SceneLoader(stored).first()), made)
    assert warp.prepared == 1


@pytest.mark.parametrize("how", ["damaged", "missing", "another version", "another portrait", "another size"])
async def test_a_bank_of_no_use_is_made_anew(
    portrait: Path, tmp_path: Path, install: Callable[..., Counted], how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A line in the log says why, and the session goes on."""
    warp = install("warp", Counted())
    join = join_of(portrait)
    of = join_of(portrait, portrait_sha256="0" * 64) if how == "another portrait" else join
    of = join_of(portrait, width=640, height=480) if how == "another size" else of
    bank = bank_of(of, WarpRenderer(), tmp_path, "0" if how == "another version" else "1")
    if how == "damaged":
        bank.write_bytes(bank.read_bytes()[:100_000])
    if how == "missing":
        bank.unlink()
    with caplog.at_level(logging.WARNING):
        scene = await SceneLoader(join_of(portrait, bank_path=str(bank))).first()
    assert warp.prepared == 1
    assert "the stored bank is of no use" in caplog.text
    assert frame_of(scene).any()


async def test_a_slow_renderer_is_stood_in_for(portrait: Path, install: Callable[..., Counted]) -> None:
    """Something that moves is there long before it, and then it takes over."""
    slow = install("slow", Counted(seconds=2.0))
    loader, began = SceneLoader(join_of(portrait, renderer="slow")), time.monotonic()
    first = await loader.first()
    waited = time.monotonic() - began
    assert type(first.renderer) is WarpRenderer
    then = await loader.then(first)
    assert then is not None
    assert then.renderer is slow
    assert time.monotonic() - began >= 2.0 > waited
    assert await loader.then(then) is None


async def test_a_slow_renderer_with_a_bank_is_there_at_once(
    portrait: Path, tmp_path: Path, install: Callable[..., Counted]
) -> None:
    """That is what banks are for: nothing is prepared, so nothing stands in for long."""
    slow = install("slow", Counted(seconds=60.0))
    join = join_of(portrait, renderer="slow")
    loader = SceneLoader(join_of(portrait, renderer="slow", bank_path=str(bank_of(join, WarpRenderer(), tmp_path))))
    first = await loader.first()
    scene = await loader.then(first) or first
    assert scene.renderer is slow
    assert slow.prepared == 0


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), ValueError("no face"), OSError("no model")])
async def test_a_renderer_that_fails_stays_stood_in_for(
    portrait: Path, install: Callable[..., Counted], error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it raises; the log says so once."""
    install("broken", Counted(error=error))
    loader = SceneLoader(join_of(portrait, renderer="broken"))
    first = await loader.first()
    assert type(first.renderer) is WarpRenderer
    assert await loader.then(first) is None
    assert caplog.text.count("the renderer broken does not show this portrait") == 1


async def test_a_renderer_that_is_not_installed_is_stood_in_for(portrait: Path) -> None:
    """The avatar server refuses such a setting; whoever removes the package later still has a picture."""
    loader = SceneLoader(join_of(portrait, renderer="nobody"))
    assert type((await loader.first()).renderer) is WarpRenderer


async def test_a_face_that_cannot_be_moved_stands_still(portrait: Path) -> None:
    """A picture that stands still is better than none; also in another one's stead."""
    for renderer in ("warp", "nobody"):
        loader = SceneLoader(join_of(portrait, renderer=renderer, keypoints=((1.0, 1.0),) * 5))
        assert type((await loader.first()).renderer) is StillRenderer


async def test_an_open_mouth_moves_gently(tmp_path: Path) -> None:
    """A portrait that shows a wide gap between the lips is spoken for with half the movement or less."""
    paths = {gap: tmp_path / f"{gap}.png" for gap in (0, 30)}
    qualities = {}
    for gap, path in paths.items():
        Image.fromarray(drawn(sag=0 if not gap else 16, gap=gap)).save(path)
        points = ((580.0, 400.0), (700.0, 400.0), (640.0, 470.0), (592.0, 520.0), (688.0, 520.0))
        scene = await SceneLoader(join_of(path, keypoints=points)).first()
        qualities[gap] = scene.track._assets.quality  # type: ignore[attr-defined]
    assert qualities[30] < 0.6 < qualities[0]


@pytest.mark.parametrize("size", [(640, 480), (320, 240), (1600, 1200)])
async def test_a_portrait_is_scaled_to_the_video(portrait: Path, size: tuple[int, int]) -> None:
    """The face goes with it: frames have the video's size and the mouth lies where the portrait's does."""
    scene = await SceneLoader(join_of(portrait, width=size[0], height=size[1])).first()
    frame = frame_of(scene, size)
    assert frame.shape == (size[1] * 3 // 2, size[0])
    assert type(scene.renderer) is WarpRenderer
    left_eye = scene.track._assets.bank.fit.keypoints[0]  # type: ignore[attr-defined]
    assert left_eye[0] == pytest.approx(POINTS[0][0] * size[0] / 1280, abs=0.5)


async def test_another_shape_is_refused(portrait: Path) -> None:
    """Nobody wants a distorted face."""
    with pytest.raises(ValueError, match="does not fit"):
        await SceneLoader(join_of(portrait, width=960, height=960)).first()
    await asyncio.sleep(0)
