"""The built-in renderer by itself: one frame of a talking face, and what a portrait's preparation costs."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.report import Goal, Row, row
from bench.talk.sounds import babble
from cli.library.builtin import astronaut
from cli.rendering import cut_portrait
from presence.pictures import Picture, i420_from_rgb
from presence.renderers.base import AvatarState, Pixels
from presence.renderers.warp import WarpRenderer
from presence.speech.conversion import SAMPLE_RATE, Converter, SpeechFormat
from presence.speech.soxr import SoxrResampler

RATIO = "4:3"
FPS = 25
FRAMES = 20
"""Of a round."""
SKIPPED = 5
"""The first frames, which fill caches."""


async def measure_renders(rounds: int, tell: Callable[[str], None]) -> list[Row]:
    """Both rows, by CPU time of one thread: a machine that others use does not change it much."""
    cutting = await cut_portrait(astronaut(), RATIO)
    keypoints = np.array(cutting.keypoints, np.float32)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # as in a session's process
    try:
        with tempfile.TemporaryDirectory(prefix="greenroom-bench-") as folder:
            tell("renderer: the bank")
            bank = measure_bank(cutting.rgb, keypoints, Path(folder), max(rounds // 3, 3))
            tell("renderer: frames")
            return [measure_frames(cutting.rgb, Path(folder), rounds), bank]
    finally:
        cv2.setNumThreads(threads)


def measure_bank(rgb: Pixels, keypoints: NDArray[np.float32], folder: Path, rounds: int) -> Row:
    """Seconds of CPU for everything that is made of a portrait before it can talk."""
    values, floors = [], []
    for _ in range(rounds):
        began = time.process_time()
        WarpRenderer().prepare(rgb, keypoints, folder)
        values.append(time.process_time() - began)
        began = time.process_time()
        np.save(folder / "floor.npy", i420_from_rgb(rgb))
        floors.append(time.process_time() - began)
    floor = "the portrait as I420 in a file"
    return row("bank_build", values, floors, unit="s of CPU", reference_name=floor, goal=Goal(value=1.0))


def measure_frames(rgb: Pixels, folder: Path, rounds: int) -> Row:
    """Milliseconds of one talking frame at full size."""
    height, width = rgb.shape[:2]
    renderer, picture, still = WarpRenderer(), Picture(width, height), i420_from_rgb(rgb)
    track = renderer.open(renderer.load(folder), 1)
    sound, values, floors = speech((rounds * FRAMES + SKIPPED) / FPS), list[float](), list[float]()
    for index, pcm in enumerate(np.split(sound, len(sound) * FPS // SAMPLE_RATE)):
        began = time.thread_time()
        renderer.render_batch([track.job(pcm, index, AvatarState.SPEAKING, picture.i420)])
        values.append((time.thread_time() - began) * 1000)
        began = time.thread_time()
        np.copyto(picture.i420, still)
        floors.append((time.thread_time() - began) * 1000)
    floor = "the still, copied"
    shown = values[SKIPPED:], floors[SKIPPED:]
    return row("render_frame", *shown, unit="ms", reference_name=floor, goal=Goal(value=5.0))


def speech(seconds: float) -> NDArray[np.float32]:
    """Babble as a track hears it: whole frames."""
    converter = Converter(SpeechFormat(), SoxrResampler)
    sound = np.concatenate([converter.push(babble(seconds + 1).tobytes()), converter.flush()])
    return sound[: round(seconds * FPS) * SAMPLE_RATE // FPS].astype(np.float32) / np.float32(32768)
