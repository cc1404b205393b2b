"""Faces: one decoded picture becomes the aligned portraits of its one face, or a verdict."""

import asyncio

from activities.beats import beating
from activities.failures import translated
from adapters.face_alignment import AlignedPicture, MadePortraits, PortraitMaker
from adapters.image_pixels import load_rgb
from adapters.object_store import ObjectStore
from contracts import steps
from contracts.portraits import FaceMeasures, StoredObject, StoredPortrait


class FaceActivities:
    """The face pipeline between two visits to the object store."""

    def __init__(self, maker: PortraitMaker, store: ObjectStore) -> None:
        self._maker = maker
        self._store = store

    @steps.align_face.implementation
    async def align_face(self, value: steps.AlignFaceInput) -> steps.AlignFaceResult:
        """Find, judge and align the face; refused with the verdict's code and what was measured."""
        with translated():
            async with beating():
                data = await self._store.get(value.picture.key, value.picture.sha256)
                longer = max(value.source_width, value.source_height)
                made = await asyncio.to_thread(self._make, data, longer)
                portraits = [await self._stage(picture, value.staging_prefix) for picture in made.pictures.values()]
        return steps.AlignFaceResult(primary=made.primary, portraits=tuple(portraits), measures=_measures(made))

    def _make(self, data: bytes, source_side: int) -> MadePortraits:
        rgb = load_rgb(data)
        return self._maker.make(rgb, max(rgb.shape[:2]) / source_side)

    async def _stage(self, picture: AlignedPicture, prefix: str) -> StoredPortrait:
        key = f"{prefix}/{picture.profile.replace(':', 'x')}.jpg"
        sha256 = await self._store.put(key, picture.jpeg)
        return StoredPortrait(
            profile=picture.profile,
            object=StoredObject(key=key, sha256=sha256, size=len(picture.jpeg)),
            width=picture.width,
            height=picture.height,
            keypoints=picture.keypoints,
        )


def _measures(made: MadePortraits) -> FaceMeasures:
    return FaceMeasures(**{name: getattr(made.measures, name) for name in FaceMeasures.__struct_fields__})
