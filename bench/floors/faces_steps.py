"""The faces role's own steps in one process, as its worker runs them: many at once, and one huge picture."""

import asyncio
import itertools
import os
import sys
import tempfile
import time
from pathlib import Path

from temporalio.testing import ActivityEnvironment

from activities.faces import FaceActivities
from activities.images import ImageActivities
from adapters.detector_file import detector_path
from adapters.face_alignment import PortraitMaker
from adapters.face_detection import FaceDetector
from adapters.image_decoding import ImageDecoder
from adapters.image_source import PictureSource
from adapters.object_store import ObjectStore
from bench.floors.memory import Peak
from bench.floors.processes import commands, say
from contracts import steps
from contracts.portraits import StoredObject
from runtime.cache import cache_folder


class Steps:
    """Decoding and alignment of staged pictures."""

    def __init__(self, decoder: ImageDecoder, store: ObjectStore) -> None:
        cores = len(os.sched_getaffinity(0))
        detector = FaceDetector(detector_path(cache_folder(os.environ)), device="cpu", threads=cores)
        self._images = ImageActivities(PictureSource(), decoder, store)
        self._faces = FaceActivities(PortraitMaker(detector), store)
        self._store = store
        self._numbers = itertools.count()

    async def one(self, data: bytes) -> None:
        """From the staged bytes to the staged portraits."""
        prefix = f"staging/{next(self._numbers)}"
        source = StoredObject(key=f"{prefix}/source", sha256=await self._store.put(f"{prefix}/source", data), size=1)
        decoded: steps.DecodeImageResult = await ActivityEnvironment().run(
            self._images.decode_image, steps.DecodeImageInput(source=source, staging_prefix=prefix)
        )
        wanted = steps.AlignFaceInput(
            picture=decoded.picture,
            staging_prefix=prefix,
            source_width=decoded.source_width,
            source_height=decoded.source_height,
        )
        await ActivityEnvironment().run(self._faces.align_face, wanted)


async def main(picture: str) -> None:
    """Answer commands until the input ends."""
    portrait = await asyncio.to_thread(Path(picture).read_bytes)
    decoder = ImageDecoder()
    with tempfile.TemporaryDirectory(prefix="greenroom-bench-") as folder:
        ours = Steps(decoder, ObjectStore(f"file://{folder}"))
        await ours.one(portrait)
        say(ready=True)
        async for command in commands():
            if "pictures" in command:
                began = time.perf_counter()
                await asyncio.gather(*(ours.one(portrait) for _ in range(command["pictures"])))
                say(seconds=time.perf_counter() - began)
            else:
                huge = await asyncio.to_thread(Path(command["peak"]).read_bytes)
                peaks = [Peak(os.getpid()), *(Peak(child._process.pid) for child in decoder._children)]  # noqa: SLF001
                await ours.one(huge)
                say(peak_mb=sum(peak.grown_mb() for peak in peaks))
    await decoder.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
