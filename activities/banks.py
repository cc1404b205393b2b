"""What the renderer prepares of an avatar's portraits, made ahead of its sessions and stored with its pictures."""

import logging

from activities.beats import beating
from activities.failures import translated
from adapters.bank_making import BankMaker, CannotPrepare
from adapters.object_store import ObjectStore
from contracts import steps
from contracts.portraits import StoredBank, StoredObject, StoredPortrait
from domain.avatars import AspectRatio, bank_key

log = logging.getLogger(__name__)


class BankActivities:
    """The renderer works in a process apart; here its banks are stored."""

    def __init__(self, maker: BankMaker, store: ObjectStore) -> None:
        self._maker = maker
        self._store = store

    @steps.prepare_banks.implementation
    async def prepare_banks(self, value: steps.PrepareBanksInput) -> steps.PrepareBanksResult:
        """The portraits with their banks. One that the renderer cannot prepare has none: its sessions do without."""
        with translated():
            async with beating():
                return steps.PrepareBanksResult(
                    portraits=tuple([await self._with_bank(value.avatar_id, one) for one in value.portraits])
                )

    async def _with_bank(self, avatar_id: str, portrait: StoredPortrait) -> StoredPortrait:
        if portrait.profile not in tuple(AspectRatio):
            return portrait
        data = await self._store.get(portrait.object.key, portrait.object.sha256)
        try:
            made = await self._maker.make(data, portrait.object.sha256, portrait.keypoints)
        except CannotPrepare as error:
            log.warning("%s has no bank for %s: %s", avatar_id, portrait.profile, error)
            return portrait
        if made is None:
            return portrait
        renderer = self._maker.renderer
        key = bank_key(avatar_id, portrait.profile, f"{renderer}-{made.version}-{made.width}x{made.height}")
        stored = StoredObject(key=key, sha256=await self._store.put(key, made.data), size=len(made.data))
        bank = StoredBank(renderer=renderer, version=made.version, width=made.width, height=made.height, object=stored)
        return portrait.with_bank(bank)
