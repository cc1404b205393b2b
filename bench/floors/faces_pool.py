"""The same pipeline without any service: a process a core that reads, finds, judges and aligns."""

import asyncio
import io
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from PIL import Image

from adapters.detector_file import detector_path
from adapters.face_alignment import PortraitMaker
from adapters.face_detection import FaceDetector
from adapters.image_pixels import load_rgb
from adapters.image_reading import read_picture
from bench.floors.memory import Peak
from bench.floors.processes import commands, say
from runtime.cache import cache_folder

_maker: list[PortraitMaker] = []
"""A process's own."""


def start() -> None:
    """Load the detector, for one core."""
    _maker.append(PortraitMaker(FaceDetector(detector_path(cache_folder(os.environ)), device="cpu", threads=1)))


def make(data: bytes) -> list[bytes]:
    """From a picture to its portraits."""
    return [one.jpeg for one in _maker[0].make(load_rgb(read_picture(data).jpeg)).pictures.values()]


async def main(picture: str) -> None:
    """Answer commands until the input ends."""
    portrait = await asyncio.to_thread(Path(picture).read_bytes)
    loop, cores = asyncio.get_running_loop(), len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn"), initializer=start) as pool:
        await asyncio.gather(*(loop.run_in_executor(pool, make, portrait) for _ in range(4 * cores)))
        say(ready=True)
        async for command in commands():
            if "pictures" in command:
                began = time.perf_counter()
                wanted = (loop.run_in_executor(pool, make, portrait) for _ in range(command["pictures"]))
                await asyncio.gather(*wanted)
                say(seconds=time.perf_counter() - began)
            else:
                say(peak_mb=_decoded_in_full(Path(command["peak"])))


def _decoded_in_full(path: Path) -> float:
    data = path.read_bytes()
    peak = Peak(os.getpid())
    with Image.open(io.BytesIO(data)) as image:
        image.load()
    return peak.grown_mb()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
