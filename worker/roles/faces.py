"""The faces role: decoding in processes apart, detection and alignment on this one. The only one with onnxruntime."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack

from temporalio.client import Client

from activities.banks import BankActivities
from activities.faces import FaceActivities
from activities.images import ImageActivities
from adapters.bank_making import BankMaker
from adapters.image_decoding import ImageDecoder
from adapters.image_source import PictureSource
from adapters.object_store import ObjectStore
from contracts import queues
from domain.environments import child_environment
from runtime.settings import Settings
from worker.assembly import Opened
from worker.face_detector import open_portrait_maker

MARK = "GREENROOM_RUN"
"""By this an operator, or a test, finds every process of one run; decoders inherit nothing else."""


async def open_role(settings: Settings, environ: Mapping[str, str], _: Client, stack: AsyncExitStack) -> Opened:
    """Load the face pipeline; SettingsError where a file is missing, or does not run as it was told to."""
    maker = await asyncio.to_thread(open_portrait_maker, settings, environ)
    decoder = ImageDecoder(environment={MARK: environ[MARK]} if MARK in environ else {})
    stack.push_async_callback(decoder.aclose)
    source = PictureSource(settings.allowed_picture_hosts)
    stack.push_async_callback(source.aclose)
    store = ObjectStore(settings.storage_address, **settings.storage_access)
    stack.push_async_callback(store.aclose)
    # The renderer's code stays out of this process, and its secrets out of that one.
    banks = BankMaker(settings.renderer, longer_side=settings.video_size, environment=child_environment(environ))
    stack.push_async_callback(banks.aclose)
    return Opened(
        queue=queues.FACES,
        activities=(
            FaceActivities(maker, store),
            ImageActivities(source, decoder, store),
            BankActivities(banks, store),
        ),
    )
