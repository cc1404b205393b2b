"""The library of avatars: looking one up, storing one's pictures, registering it, and undoing that."""

import asyncio
from datetime import UTC, datetime

from activities.beats import beating
from activities.failures import translated
from activities.portraits import avatar_ref, bank_to_domain, to_domain
from adapters.object_store import ObjectStore
from contracts import steps
from contracts.portraits import AvatarRef, StoredObject, StoredPortrait
from database.avatars import Avatars
from domain.avatars import Avatar, check_access, original_key, pictures_of, portrait_key
from domain.failures import NotYet


class AvatarActivities:
    """Rows in the database and pictures in the object store; the pictures come first and go last."""

    def __init__(self, avatars: Avatars, store: ObjectStore, *, keep_originals: bool = False) -> None:
        self._avatars = avatars
        self._store = store
        self._keep_originals = keep_originals

    @steps.resolve_avatar.implementation
    async def resolve_avatar(self, value: steps.ResolveAvatarInput) -> AvatarRef:
        """The avatar, if this account may use it.

        TEMPORARILY_UNAVAILABLE, which is worth another attempt, while the portrait that is wanted is still being made.
        """
        with translated():
            avatar = check_access(await self._avatars.get(value.avatar_id), value.account_id)
            if value.aspect_ratio is not None and value.aspect_ratio not in avatar.portraits:
                raise NotYet(f"The avatar's {value.aspect_ratio} picture is still being made; try again in a moment")
        return avatar_ref(avatar)

    @steps.recognise_picture.implementation
    async def recognise_picture(self, value: steps.RecognisePictureInput) -> steps.RecognisePictureResult:
        """Whether this account has sent the same picture before."""
        with translated():
            known = await self._avatars.recognise(value.account_id, value.source_sha256, instead_of=value.instead_of)
        return steps.RecognisePictureResult(avatar_id=known)

    @steps.reserve_picture.implementation
    async def reserve_picture(self, value: steps.ReservePictureInput) -> steps.Done:
        """Count an upload's avatar against the allowance before it is made; a repeat counts nothing twice."""
        with translated():
            await self._avatars.reserve(value.avatar_id, value.account_id)
        return steps.Done()

    @steps.store_avatar.implementation
    async def store_avatar(self, value: steps.StoreAvatarInput) -> steps.StoreAvatarResult:
        """Copy the staged pictures to the avatar's own place, checked on the way."""
        with translated():
            async with beating():
                # All at once: a far store takes its time for each.
                stored = await asyncio.gather(*(self._keep(value.avatar_id, one) for one in value.portraits))
                if value.original is not None and self._keep_originals:
                    await self._copy(value.original, original_key(value.avatar_id))
        return steps.StoreAvatarResult(portraits=tuple(stored))

    @steps.register_avatar.implementation
    async def register_avatar(self, value: steps.RegisterAvatarInput) -> steps.RegisterAvatarResult:
        """Insert the avatar; a repeat changes nothing, and a twin that was quicker stays the only one."""
        ref = value.avatar
        avatar = Avatar(
            avatar_id=ref.avatar_id,
            account_id=value.account_id,
            primary=ref.primary,
            portraits={portrait.profile: to_domain(portrait) for portrait in ref.portraits},
            created_at=datetime.now(UTC),
        )
        with translated():
            known = await self._avatars.register(avatar, value.source_sha256)
        return steps.RegisterAvatarResult(avatar_id=known if known != ref.avatar_id else None)

    @steps.add_portraits.implementation
    async def add_portraits(self, value: steps.AddPortraitsInput) -> steps.Done:
        """Add portraits to an avatar; a repeat changes nothing. AVATAR_NOT_FOUND if it was deleted meanwhile."""
        portraits = {portrait.profile: to_domain(portrait) for portrait in value.portraits}
        with translated():
            await self._avatars.add_portraits(value.avatar_id, portraits)
        return steps.Done()

    @steps.keep_banks.implementation
    async def keep_banks(self, value: steps.KeepBanksInput) -> steps.Done:
        """Note where the banks lie; a repeat changes nothing. AVATAR_NOT_FOUND if the avatar was deleted meanwhile."""
        banks = {one.profile: bank_to_domain(one.banks[-1]) for one in value.portraits if one.banks}
        with translated():
            await self._avatars.keep_banks(value.avatar_id, banks)
        return steps.Done()

    @steps.forget_avatar.implementation
    async def forget_avatar(self, value: steps.ForgetAvatarInput) -> steps.Done:
        """Delete the avatar's row and pictures, unless a session refers to it."""
        with translated():
            async with beating():
                if await self._avatars.forget(value.avatar_id):
                    await self._store.delete_below(pictures_of(value.avatar_id))
        return steps.Done()

    @steps.discard_staged.implementation
    async def discard_staged(self, value: steps.DiscardStagedInput) -> steps.Done:
        """Delete what a create or upload staged."""
        with translated():
            async with beating():
                await self._store.delete_below(value.staging_prefix)
        return steps.Done()

    async def _keep(self, avatar_id: str, portrait: StoredPortrait) -> StoredPortrait:
        return _at(portrait, await self._copy(portrait.object, portrait_key(avatar_id, portrait.profile)))

    async def _copy(self, staged: StoredObject, key: str) -> StoredObject:
        data = await self._store.get(staged.key, staged.sha256)
        return StoredObject(key=key, sha256=await self._store.put(key, data), size=len(data))


def _at(portrait: StoredPortrait, stored: StoredObject) -> StoredPortrait:
    return StoredPortrait(
        profile=portrait.profile,
        object=stored,
        width=portrait.width,
        height=portrait.height,
        keypoints=portrait.keypoints,
    )
