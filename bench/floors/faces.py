"""Both sides of the pipeline's row in one process: the whole pipeline as the steps run it, and the bare detection."""

import asyncio
import os
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from adapters.detector_file import detector_path
from adapters.face_alignment import PortraitMaker
from adapters.face_detection import CANDIDATE_SCORE, NARROW, REFINING, WIDE, FaceDetector
from adapters.image_decoding import ImageDecoder
from adapters.image_pixels import load_rgb
from bench.floors.processes import commands, say
from bench.site import cpu_of
from runtime.cache import cache_folder


async def main(picture: str) -> None:
    """One round a command, until the input ends."""
    cores = len(os.sched_getaffinity(0))
    detector = FaceDetector(detector_path(cache_folder(os.environ)), device="cpu", threads=cores)
    maker, decoder = PortraitMaker(detector), ImageDecoder()
    source = await asyncio.to_thread(Path(picture).read_bytes)
    decoded = await decoder.decode(source)
    (decoding,) = decoder._children  # noqa: SLF001
    rgb = load_rgb(decoded.jpeg)
    canvases = [(shrunk(rgb, WIDE), [WIDE, NARROW]), (shrunk(rgb, REFINING), [REFINING])]
    say(ready=True)
    async for _ in commands():
        child_pid = decoding._process.pid  # noqa: SLF001
        before, own = cpu_of(child_pid), time.process_time()
        picture_now = await decoder.decode(source)
        in_child = cpu_of(child_pid) - before
        pixels = load_rgb(picture_now.jpeg)
        made = maker.make(pixels, 1.0)
        pipeline = in_child + time.process_time() - own
        own = time.process_time()
        for canvas, sizes in canvases:
            detector._model.detect(  # noqa: SLF001
                canvas, input_size=[(size, size) for size in sizes], det_thresh=CANDIDATE_SCORE
            )
        bare = time.process_time() - own
        stages = {"decode": in_child * 1000, **made.stage_ms}
        say(pipeline_ms=pipeline * 1000, detection_ms=bare * 1000, stages=stages)
    await decoder.aclose()


def shrunk(rgb: np.ndarray, side: int) -> np.ndarray:
    """The picture as a square canvas of the detector's input size."""
    return np.ascontiguousarray(cv2.resize(rgb, (side, side), interpolation=cv2.INTER_AREA)[:, :, ::-1])


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
