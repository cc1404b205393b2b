"""What moves an avatar's picture, from its portrait's file and its bank's; something slow is stood in for meanwhile."""

import asyncio
import logging
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from presence.pictures import load_portrait
from presence.processes.protocol import Join
from presence.renderers.bank_file import About, bank_version, unpack
from presence.renderers.base import Pixels, Renderer, Track
from presence.renderers.marker import MarkedRenderer
from presence.renderers.registry import find_renderer
from presence.renderers.still import StillRenderer

log = logging.getLogger(__name__)

STANDS_IN: Final = "warp"
"""Prepares a portrait in tens of milliseconds, and blinks, sways and talks like the one that it stands in for."""
QUICK: Final = frozenset({STANDS_IN, "still"})
"""Renderers that a join waits for."""
PATIENCE_S: Final = 0.05
"""A renderer that has a bank is ready by then; connecting takes longer."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A renderer and its track."""

    renderer: Renderer
    track: Track


class SceneLoader:
    """Loads in threads while the avatar joins: what was ordered, and what plays until that is there."""

    def __init__(self, join: Join) -> None:
        self._join = join
        self._portrait: Pixels | None = None
        self._reading = threading.Lock()
        self._ordered = asyncio.create_task(asyncio.to_thread(self._load_ordered))
        self._ordered.add_done_callback(self._complain)

    async def first(self) -> Scene:
        """What is to be shown first: what was ordered if it is quick. OSError, ValueError: not even the portrait is."""
        if self._join.renderer in QUICK:
            return await self._ordered
        await asyncio.wait({self._ordered}, timeout=PATIENCE_S)
        standing_in = None if self._ordered.done() else asyncio.create_task(asyncio.to_thread(self._stand_in))
        if standing_in is not None:
            await asyncio.wait({self._ordered, standing_in}, return_when=asyncio.FIRST_COMPLETED)
        if self._ordered.done() and (scene := self._outcome()) is not None:
            return scene
        return await (standing_in or asyncio.to_thread(self._stand_in))

    async def then(self, playing: Scene) -> Scene | None:
        """What was ordered, once it is there; None where it plays already, or cannot be had."""
        await asyncio.wait({self._ordered})
        scene = self._outcome()
        return None if scene is playing else scene

    def _outcome(self) -> Scene | None:
        """What was ordered; None where it failed, whatever the renderer raised."""
        return None if self._ordered.exception() is not None else self._ordered.result()

    def _complain(self, ordered: "asyncio.Task[Scene]") -> None:
        if not ordered.cancelled() and (error := ordered.exception()) is not None:
            log.error("the renderer %s does not show this portrait", self._join.renderer, exc_info=error)

    def _load_ordered(self) -> Scene:
        renderer = find_renderer(self._join.renderer)
        if (scene := self._of_bank(renderer)) is not None:
            return scene
        if self._join.renderer not in QUICK:
            return self._prepared(renderer)
        return self._prepared_or_still(renderer)

    def _stand_in(self) -> Scene:
        return self._prepared_or_still(find_renderer(STANDS_IN))

    def _prepared_or_still(self, renderer: Renderer) -> Scene:
        self._read_portrait()
        try:
            return self._prepared(renderer)
        except ValueError as error:
            # A picture that stands still is better than none.
            log.warning("the portrait stands still: %s", error)
            return self._prepared(StillRenderer())

    def _of_bank(self, renderer: Renderer) -> Scene | None:
        """From the stored bank; None without a fitting one."""
        join, version = self._join, bank_version(renderer)
        if not join.bank_path or version is None:
            return None
        about = About(
            renderer=join.renderer,
            version=version,
            portrait_sha256=join.portrait_sha256,
            width=join.width,
            height=join.height,
        )
        try:
            with tempfile.TemporaryDirectory(prefix="greenroom-") as folder:
                unpack(Path(join.bank_path), about, Path(folder))
                return self._opened(renderer, Path(folder))
        except Exception as error:  # noqa: BLE001 - a damaged bank may make a renderer raise anything
            log.warning("the stored bank is of no use, so the portrait is prepared: %s", error)
            return None

    def _prepared(self, renderer: Renderer) -> Scene:
        """From what the renderer makes now. The built-in ones take tens of milliseconds for it."""
        image, keypoints = self._read_portrait()
        with tempfile.TemporaryDirectory(prefix="greenroom-") as folder:
            renderer.prepare(image, keypoints, Path(folder))
            return self._opened(renderer, Path(folder))

    def _opened(self, renderer: Renderer, folder: Path) -> Scene:
        shown = MarkedRenderer(renderer) if self._join.frame_marker else renderer
        return Scene(renderer=shown, track=shown.open(shown.load(folder), self._join.generation))

    def _read_portrait(self) -> tuple[Pixels, NDArray[np.float32]]:
        """The portrait in the video's size, and where its face lies in it."""
        join = self._join
        with self._reading:
            if self._portrait is None:
                self._portrait = load_portrait(Path(join.portrait_path), sha256=join.portrait_sha256)
        return fitted(self._portrait, join.keypoints, (join.width, join.height))


def fitted(
    image: Pixels, keypoints: tuple[tuple[float, float], ...], size: tuple[int, int]
) -> tuple[Pixels, NDArray[np.float32]]:
    """A portrait and its keypoints (n, 2) in another size, (width, height). ValueError for another shape of picture."""
    points = np.array(keypoints, np.float32).reshape(-1, 2)
    height, width = image.shape[:2]
    if (width, height) == size:
        return image, points
    scale = (size[0] / width, size[1] / height)
    if abs(scale[0] / scale[1] - 1) > 0.02:  # noqa: PLR2004 - what even sides round away, no more
        raise ValueError(f"the portrait is {width}x{height}, which does not fit {size[0]}x{size[1]}")
    how = cv2.INTER_AREA if scale[0] < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, size, interpolation=how), np.uint8), points * np.array(scale, np.float32)
