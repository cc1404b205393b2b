"""From a picture and its speech to a clip, by the pipeline of uploads and the renderer of sessions; asks no server."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from adapters.face_alignment import Cutting, cut_out
from adapters.image_decoding import ImageDecoder
from adapters.image_pixels import load_rgb
from cli.clip import RATE, ClipWriter, Sound
from cli.face_checker import read
from cli.processes import explained
from domain.avatars import orientation_of
from domain.portraits import FRAMINGS, judge
from presence.pictures import Picture
from presence.renderers.base import AvatarState
from presence.renderers.warp import WarpRenderer
from runtime.settings import load_settings
from worker.face_detector import open_portrait_maker

TAIL_S = 0.6
"""After the last word the mouth closes, and the clip shows it."""


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """What was made."""

    clip: str
    width: int
    height: int
    fps: int
    frames: int
    seconds: float
    quality: float
    """0..1: how natural the mouth's movements look on this portrait. They are scaled by it."""
    prepare_ms: float
    frame_ms: float
    """Median of rendering one frame, without the encoding."""


async def cut_portrait(path: Path, ratio: str | None) -> Cutting:
    """The aligned portrait of a picture file. Refused where it has no usable face."""
    with explained():
        maker = open_portrait_maker(load_settings(os.environ), os.environ)
    decoder = ImageDecoder()
    try:
        decoded = await decoder.decode(read(path))
    finally:
        await decoder.aclose()
    rgb = load_rgb(decoded.jpeg)
    seen = maker.observe(rgb, max(rgb.shape[:2]) / max(decoded.source_width, decoded.source_height))
    judge(seen, maker.thresholds)
    profile = ratio or orientation_of(rgb.shape[1], rgb.shape[0])
    return cut_out(rgb, seen.keypoints, profile, FRAMINGS[profile])


def render(cutting: Cutting, sound: Sound, output: Path, *, seed: int, fps: int) -> Rendered:
    """Write the clip. Raises ClipError."""
    height, width = cutting.rgb.shape[:2]
    renderer = WarpRenderer()
    began = time.process_time()
    with tempfile.TemporaryDirectory(prefix="greenroom-") as folder:
        renderer.prepare(cutting.rgb, np.array(cutting.keypoints, np.float32), Path(folder))
        assets = renderer.load(Path(folder))
    prepare_ms = (time.process_time() - began) * 1000
    frames = -(-(sound.size + round(TAIL_S * RATE)) * fps // RATE)
    whole = np.zeros(RATE * frames // fps, np.int16)
    whole[: sound.size] = sound
    track, picture, times = renderer.open(assets, seed), Picture(width, height), []
    with ClipWriter(output, width=width, height=height, fps=fps) as clip, progress(frames) as advance:
        for index in range(frames):
            window = whole[RATE * index // fps : RATE * (index + 1) // fps]
            started = time.perf_counter()
            state = AvatarState.SPEAKING if RATE * index // fps < sound.size else AvatarState.LISTENING
            pcm = window.astype(np.float32) / np.float32(32768)
            renderer.render_batch([track.job(pcm, index, state, picture.i420)])
            times.append(time.perf_counter() - started)
            clip.write(picture.i420, window)
            advance()
    return Rendered(
        clip=os.fspath(output),
        width=width,
        height=height,
        fps=fps,
        frames=frames,
        seconds=round(frames / fps, 3),
        quality=assets.quality,
        prepare_ms=round(prepare_ms, 1),
        frame_ms=round(median(times) * 1000, 2),
    )


@contextmanager
def progress(frames: int) -> Iterator[Callable[[], None]]:
    """A bar on standard error, where that is a terminal; the function moves it on by one frame."""
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("frames", total=frames)
        yield lambda: bar.advance(task)
