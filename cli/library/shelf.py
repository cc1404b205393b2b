"""Where an installation keeps its avatars: database and object store together. Pictures come first and go last."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from adapters.object_store import ObjectStore
from cli.library.ready import ReadyAvatar, ReadyPortrait
from database.accounts import Accounts
from database.avatars import Avatars
from database.engine import open_engine
from database.migrations import is_current
from domain.avatars import Avatar, Portrait, original_key, pictures_of, portrait_key
from domain.failures import Unavailable
from runtime.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """The stores that an avatar lies in."""

    avatars: Avatars
    accounts: Accounts
    store: ObjectStore

    async def add(
        self, avatar_id: str, account_id: str | None, ready: ReadyAvatar, *, original: bytes | None = None
    ) -> str:
        """Store an avatar's pictures, then its row; public without an account. What fails is undone and raised.

        Answers the id under which it is known: another one's where the account had the picture already, and then
        nothing was added. The id must be free (`Avatars.free_for`).
        """
        was_deleted = bool(await self.avatars.known([avatar_id]))
        try:
            portraits = await self._put(avatar_id, ready, original)
            avatar = Avatar(
                avatar_id=avatar_id,
                account_id=account_id,
                primary=ready.primary,
                portraits=portraits,
                created_at=datetime.now(UTC),
            )
            await self.avatars.give_up(avatar_id)
            known = await self.avatars.register(avatar, ready.source_sha256)
        except BaseException:
            with suppress(Unavailable):  # the first trouble is the one to tell of
                if await self.avatars.get(avatar_id) is None:
                    await self.store.delete_below(pictures_of(avatar_id))
            raise
        if was_deleted:
            # The sweeper may have taken these pictures for those of the deleted avatar.
            await self._put(avatar_id, ready, original)
        if known != avatar_id:
            await self.store.delete_below(pictures_of(avatar_id))
        return known

    async def _put(self, avatar_id: str, ready: ReadyAvatar, original: bytes | None) -> dict[str, Portrait]:
        """All at once: a far store takes its time for each."""
        tasks = [self._portrait(avatar_id, profile, one) for profile, one in ready.portraits.items()]
        if original is not None:
            await self.store.put(original_key(avatar_id), original)
        # None may be under way still when others are undone.
        done = await asyncio.gather(*tasks, return_exceptions=True)
        portraits = [one for one in done if not isinstance(one, BaseException)]
        for trouble in (one for one in done if isinstance(one, BaseException)):
            raise trouble
        return dict(zip(ready.portraits, portraits, strict=True))

    async def _portrait(self, avatar_id: str, profile: str, one: ReadyPortrait) -> Portrait:
        key = portrait_key(avatar_id, profile)
        sha256 = await self.store.put(key, one.jpeg)
        size = len(one.jpeg)
        return Portrait(key=key, sha256=sha256, size=size, width=one.width, height=one.height, keypoints=one.keypoints)


@asynccontextmanager
async def opened_shelf(settings: Settings) -> AsyncIterator[Shelf]:
    """Database and object store as the settings say, closed afterwards.

    Unavailable, with a sentence, where there is no database of this version; it makes none.
    """
    kind, _, file = settings.database_address.partition(":///")
    if kind.startswith("sqlite") and not await asyncio.to_thread(Path(file).exists):
        raise Unavailable("there is no database yet: run `greenroom migrate`, or name the data folder")
    async with AsyncExitStack() as stack:
        engine = open_engine(settings.database_address)
        stack.push_async_callback(engine.dispose)
        if not await is_current(engine):
            raise Unavailable("the database's tables are not those of this version: run `greenroom migrate`")
        store = ObjectStore(settings.storage_address, **settings.storage_access)
        stack.push_async_callback(store.aclose)
        yield Shelf(avatars=Avatars(engine), accounts=Accounts(engine), store=store)
