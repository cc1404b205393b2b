"""Faces: one decoded picture becomes the aligned portraits of its one face, or a verdict."""

import asyncio
import time
from collections.abc import Collection, Mapping

from activities.beats import beating
from activities.failures import translated
from adapters.face_alignment import AlignedPicture, MadePortraits, PortraitMaker, align_all
from adapters.face_detection import to_keypoints
from adapters.image_pixels import load_rgb
from adapters.object_store import ObjectStore
from contracts import steps
from contracts.portraits import FaceMeasures, StoredObject, StoredPortrait
from domain.avatars import picture_name


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
                made, stage_ms = await asyncio.to_thread(self._make, data, longer, value.wanted)
                portraits = await self._stage_all(made.pictures, value.staging_prefix)
        return steps.AlignFaceResult(
            primary=made.primary,
            portraits=portraits,
            measures=_measures(made),
            told=dict(made.told),
            keypoints=made.keypoints,
            stage_ms=stage_ms,
        )

    @steps.cut_portraits.implementation
    async def cut_portraits(self, value: steps.CutPortraitsInput) -> steps.CutPortraitsResult:
        """Cut further portraits of a face that was found and judged already."""
        with translated():
            async with beating():
                data = await self._store.get(value.picture.key, value.picture.sha256)
                pictures = await asyncio.to_thread(_cut, data, value)
                portraits = await self._stage_all(pictures, value.staging_prefix)
        return steps.CutPortraitsResult(portraits=portraits)

    def _make(self, data: bytes, source_side: int, wanted: Collection[str]) -> tuple[MadePortraits, dict[str, float]]:
        began = time.perf_counter()
        rgb = load_rgb(data)
        load_ms = round((time.perf_counter() - began) * 1000, 1)
        made = self._maker.make(rgb, max(rgb.shape[:2]) / source_side, wanted=wanted)
        return made, {"load": load_ms, **made.stage_ms}

    async def _stage_all(self, pictures: Mapping[str, AlignedPicture], prefix: str) -> tuple[StoredPortrait, ...]:
        return tuple(await asyncio.gather(*(self._stage(picture, prefix) for picture in pictures.values())))

    async def _stage(self, picture: AlignedPicture, prefix: str) -> StoredPortrait:
        key = f"{prefix}/{picture_name(picture.profile)}"
        sha256 = await self._store.put(key, picture.jpeg)
        return StoredPortrait(
            profile=picture.profile,
            object=StoredObject(key=key, sha256=sha256, size=len(picture.jpeg)),
            width=picture.width,
            height=picture.height,
            keypoints=picture.keypoints,
        )


def _cut(data: bytes, value: steps.CutPortraitsInput) -> dict[str, AlignedPicture]:
    return align_all(load_rgb(data), to_keypoints(value.keypoints), value.profiles)


def _measures(made: MadePortraits) -> FaceMeasures:
    return FaceMeasures(**{name: getattr(made.measures, name) for name in FaceMeasures.__struct_fields__})
