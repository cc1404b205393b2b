"""Has the renderer of the settings prepare avatars that lie in the library already; what it cannot prepare stays so."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from adapters.bank_making import BankMaker, CannotPrepare
from cli.library.shelf import Shelf, opened_shelf
from domain.avatars import AspectRatio, Avatar, Bank, Portrait, bank_key, shown_size
from domain.environments import child_environment
from domain.failures import Refused, Unavailable
from runtime.settings import Settings


@dataclass(frozen=True, kw_only=True)
class BankProvider:
    """The renderer's process, and the library."""

    shelf: Shelf
    maker: BankMaker
    longer_side: int

    async def provide(self, avatar_id: str) -> int:
        """Make and store what is missing for an avatar; how many banks. CannotPrepare, Unavailable, Refused."""
        avatar = await self.shelf.avatars.get(avatar_id)
        version = await self.maker.version()
        if avatar is None or version is None:
            return 0
        made = {}
        for profile in (ratio for ratio in AspectRatio if ratio in avatar.portraits):
            portrait = avatar.portraits[profile]
            if not self._has(portrait, version) and (bank := await self._bank(avatar, profile, portrait)):
                made[str(profile)] = bank
        if made:
            await self.shelf.avatars.keep_banks(avatar_id, made)
        return len(made)

    def _has(self, portrait: Portrait, version: str) -> bool:
        wanted = (self.maker.renderer, version, *shown_size(portrait.width, portrait.height, self.longer_side))
        return any((bank.renderer, bank.version, bank.width, bank.height) == wanted for bank in portrait.banks)

    async def _bank(self, avatar: Avatar, profile: str, portrait: Portrait) -> Bank | None:
        data = await self.shelf.store.get(portrait.key, portrait.sha256)
        made = await self.maker.make(data, portrait.sha256, portrait.keypoints)
        if made is None:
            return None
        renderer = self.maker.renderer
        key = bank_key(avatar.avatar_id, profile, f"{renderer}-{made.version}-{made.width}x{made.height}")
        return Bank(
            renderer=renderer,
            version=made.version,
            width=made.width,
            height=made.height,
            key=key,
            sha256=await self.shelf.store.put(key, made.data),
            size=len(made.data),
        )


@asynccontextmanager
async def bank_provider(shelf: Shelf, settings: Settings, environ: Mapping[str, str]) -> AsyncIterator[BankProvider]:
    """A provider for the settings' renderer, whose process starts when it is first needed and ends with this."""
    maker = BankMaker(settings.renderer, longer_side=settings.video_size, environment=child_environment(environ))
    try:
        yield BankProvider(shelf=shelf, maker=maker, longer_side=settings.video_size)
    finally:
        await maker.aclose()


async def provide_all(settings: Settings, environ: Mapping[str, str], tell: Callable[[str, int | str], None]) -> bool:
    """Provide every avatar; `tell` hears of each how many banks were made, or why not. Did all go well?"""
    well = True
    async with opened_shelf(settings) as shelf, bank_provider(shelf, settings, environ) as provider:
        for avatar in await shelf.avatars.every():
            try:
                tell(avatar.avatar_id, await provider.provide(avatar.avatar_id))
            except (CannotPrepare, Unavailable, Refused) as why:
                tell(avatar.avatar_id, str(why))
                well = False
    return well
