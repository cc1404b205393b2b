"""The faces role: decoding in processes apart, detection and alignment on this one. The only one with onnxruntime."""

import asyncio
import logging
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from temporalio.client import Client

from activities.faces import FaceActivities
from activities.images import ImageActivities
from adapters.detector_file import detector_path
from adapters.face_alignment import PortraitMaker
from adapters.face_detection import DetectorUnavailable, FaceDetector
from adapters.image_decoding import ImageDecoder
from adapters.object_store import ObjectStore
from contracts import queues
from runtime.cache import cache_folder
from runtime.settings import Settings, SettingsError
from worker.assembly import Opened

log = logging.getLogger(__name__)

MARK = "GREENROOM_RUN"
"""By this an operator, or a test, finds every process of one run; decoders inherit nothing else."""


async def open_role(settings: Settings, environ: Mapping[str, str], _: Client, stack: AsyncExitStack) -> Opened:
    """Load the detector; SettingsError where its file is missing or it does not run where it was told to."""
    model = Path(settings.face_model) if settings.face_model else detector_path(cache_folder(environ))
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        detector = await asyncio.to_thread(FaceDetector, model, device=settings.face_device, threads=threads)
    except DetectorUnavailable as error:
        raise SettingsError(f"{error}; run `greenroom setup`, or check FACE_MODEL and FACE_DEVICE") from None
    log.info("faces are detected by %s on %s", model.name, detector.provider)
    decoder = ImageDecoder(environment={MARK: environ[MARK]} if MARK in environ else {})
    stack.push_async_callback(decoder.aclose)
    store = ObjectStore(settings.storage_address, **settings.storage_access)
    stack.push_async_callback(store.aclose)
    return Opened(
        queue=queues.FACES,
        activities=(FaceActivities(PortraitMaker(detector), store), ImageActivities(decoder, store)),
    )
