"""A stand-in for the faces role: bytes decide the verdict, and the portraits are bytes too."""

from collections.abc import Sequence
from typing import NoReturn

from activities.failures import translated
from adapters.object_store import ObjectStore
from contracts import steps
from contracts.portraits import StoredBank, StoredObject, StoredPortrait
from domain.avatars import PREVIEW, AspectRatio, bank_key
from domain.failures import FailureCode, Refused
from support.stand_in_steps import MEASURES

FACE = b"FACE"
NO_FACE = b"NO FACE"


class FakeFaces:
    """Takes pictures that begin with FACE; refuses those that begin with NO FACE, and all others as damaged."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @steps.fetch_image.implementation
    async def fetch_image(self, value: steps.FetchImageInput) -> steps.FetchImageResult:
        """Stage the end of the address: what it says is the picture."""
        address = await self._store.get(value.address.key, value.address.sha256)
        data = address.rpartition(b"/")[2]
        return steps.FetchImageResult(picture=await self._stage(f"{value.staging_prefix}/fetched", data))

    @steps.decode_image.implementation
    async def decode_image(self, value: steps.DecodeImageInput) -> steps.DecodeImageResult:
        """Stage the same bytes again."""
        data = await self._store.get(value.source.key, value.source.sha256)
        if not data.startswith((FACE, NO_FACE)):
            refuse(FailureCode.IMAGE_DAMAGED)
        picture = await self._stage(f"{value.staging_prefix}/decoded.jpg", data)
        return steps.DecodeImageResult(
            picture=picture, width=9, height=9, source_format="PNG", source_width=9, source_height=9
        )

    @steps.align_face.implementation
    async def align_face(self, value: steps.AlignFaceInput) -> steps.AlignFaceResult:
        """Stage the square portrait, the preview and what is wanted."""
        data = await self._store.get(value.picture.key, value.picture.sha256)
        if data.startswith(NO_FACE):
            refuse(FailureCode.NO_FACE)
        profiles = sorted({AspectRatio.SQUARE, *value.wanted, PREVIEW})
        portraits = await self._portraits(value.staging_prefix, profiles, data)
        return steps.AlignFaceResult(
            primary=AspectRatio.SQUARE, portraits=portraits, measures=MEASURES, told={"faces": 1}
        )

    @steps.cut_portraits.implementation
    async def cut_portraits(self, value: steps.CutPortraitsInput) -> steps.CutPortraitsResult:
        """Stage a portrait for each profile."""
        data = await self._store.get(value.picture.key, value.picture.sha256)
        portraits = await self._portraits(value.staging_prefix, value.profiles, data)
        return steps.CutPortraitsResult(portraits=portraits)

    @steps.prepare_banks.implementation
    async def prepare_banks(self, value: steps.PrepareBanksInput) -> steps.PrepareBanksResult:
        """Store a bank for each portrait."""
        portraits = tuple([await self._with_bank(value.avatar_id, portrait) for portrait in value.portraits])
        return steps.PrepareBanksResult(portraits=portraits)

    async def _with_bank(self, avatar_id: str, portrait: StoredPortrait) -> StoredPortrait:
        stored = await self._stage(bank_key(avatar_id, portrait.profile, "warp-1-4x3"), b"a bank")
        return portrait.with_bank(StoredBank(renderer="warp", version="1", width=4, height=3, object=stored))

    async def _portraits(self, prefix: str, profiles: Sequence[str], data: bytes) -> tuple[StoredPortrait, ...]:
        objects = {name: await self._stage(f"{prefix}/{name.replace(':', 'x')}.jpg", data) for name in profiles}
        return tuple(
            StoredPortrait(profile=name, object=one, width=4, height=3, keypoints=()) for name, one in objects.items()
        )

    async def _stage(self, key: str, data: bytes) -> StoredObject:
        return StoredObject(key=key, sha256=await self._store.put(key, data), size=len(data))


def refuse(code: FailureCode) -> NoReturn:
    """A verdict as the real activities put it on Temporal."""
    with translated():
        raise Refused(code, "refused by the fake", details={"faces": 0})
    raise AssertionError
