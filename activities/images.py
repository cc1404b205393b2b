"""Pictures: fetched from their address, and decoded to upright RGB in a process that no picture can stall."""

import time

from activities.beats import beating
from activities.failures import translated
from adapters.image_decoding import ImageDecoder
from adapters.image_source import PictureSource
from adapters.object_store import ObjectStore
from contracts import steps
from contracts.portraits import StoredObject


class ImageActivities:
    """Reads and writes staged objects; the picture itself is only looked at in the decoder's own process."""

    def __init__(self, source: PictureSource, decoder: ImageDecoder, store: ObjectStore) -> None:
        self._source = source
        self._decoder = decoder
        self._store = store

    @steps.fetch_image.implementation
    async def fetch_image(self, value: steps.FetchImageInput) -> steps.FetchImageResult:
        """Fetch a picture from its address and stage it, or refuse the address."""
        with translated():
            async with beating():
                address = await self._store.get(value.address.key, value.address.sha256)
                data = await self._source.fetch(address.decode())
                key = f"{value.staging_prefix}/fetched"
                sha256 = await self._store.put(key, data)
        return steps.FetchImageResult(picture=StoredObject(key=key, sha256=sha256, size=len(data)))

    @steps.decode_image.implementation
    async def decode_image(self, value: steps.DecodeImageInput) -> steps.DecodeImageResult:
        """Decode a picture, or refuse it by its type, its size or its damage."""
        with translated():
            async with beating():
                data = await self._store.get(value.source.key, value.source.sha256)
                began = time.perf_counter()
                decoded = await self._decoder.decode(data)
                took_ms = (time.perf_counter() - began) * 1000
                key = f"{value.staging_prefix}/decoded.jpg"
                sha256 = await self._store.put(key, decoded.jpeg)
        return steps.DecodeImageResult(
            picture=StoredObject(key=key, sha256=sha256, size=len(decoded.jpeg)),
            width=decoded.width,
            height=decoded.height,
            source_format=decoded.source_format,
            source_width=decoded.source_width,
            source_height=decoded.source_height,
            stage_ms={"decode": round(took_ms, 1)},
        )
