"""Decoding: the staged bytes become an upright RGB picture, in a process that no picture can stall."""

import time

from activities.beats import beating
from activities.failures import translated
from adapters.image_decoding import ImageDecoder
from adapters.object_store import ObjectStore
from contracts import steps
from contracts.portraits import StoredObject


class ImageActivities:
    """Reads and writes staged objects; the picture itself is only looked at in the decoder's own process."""

    def __init__(self, decoder: ImageDecoder, store: ObjectStore) -> None:
        self._decoder = decoder
        self._store = store

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
