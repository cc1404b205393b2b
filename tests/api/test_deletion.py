"""Deletions survive crashes and trouble with the store: the sweeper finishes them, and touches nothing else."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from adapters.object_store import ObjectMissing, ObjectStore
from api.deletion import MARKED_FOR, delete_avatar, sweep_deleted
from database.instants import from_now
from database.tables import avatars
from domain.failures import Unavailable
from support.databases import Database


class FlakyStore(ObjectStore):
    """A store whose deletions fail as they are told."""

    def __init__(self, folder: Path, *troubles: Exception) -> None:
        super().__init__(f"file://{folder}")
        self.troubles = list(troubles)

    async def delete_below(self, prefix: str) -> None:
        """Fail once for each trouble."""
        if self.troubles:
            raise self.troubles.pop(0)
        await super().delete_below(prefix)


async def stored(database: Database, store: ObjectStore, owner: str) -> tuple[str, str]:
    """An avatar with one picture: its id and the picture's key."""
    avatar_id = await database.avatar(owner)
    key = f"avatars/{avatar_id}/1x1.jpg"
    await store.put(key, b"picture")
    return avatar_id, key


@pytest.mark.parametrize("trouble", [Unavailable("away"), RuntimeError("a surprise")])
async def test_trouble_with_the_store_is_left_to_the_sweeper(
    database: Database, tmp_path: Path, trouble: Exception
) -> None:
    """The avatar is deleted for the client all the same, and the sweeper deletes its pictures."""
    store, owner = FlakyStore(tmp_path / "objects", trouble), await database.account()
    avatar_id, key = await stored(database, store, owner)
    await delete_avatar(database.avatars, store, avatar_id, owner)
    assert store.troubles == []
    assert await database.avatars.get(avatar_id) is None
    assert await store.get(key) == b"picture"
    assert await sweep_deleted(database.avatars, store) == 1
    with pytest.raises(ObjectMissing):
        await store.get(key)


async def test_what_a_crash_left_is_swept_and_nothing_else(database: Database, tmp_path: Path) -> None:
    """Pictures of an avatar that was only marked go, those that came late too, then the row; others keep theirs."""
    store, owner = ObjectStore(f"file://{tmp_path / 'objects'}"), await database.account()
    (avatar_id, key), (_, other) = [await stored(database, store, owner) for _ in range(2)]
    await database.avatars.mark_deleted(avatar_id, owner)
    for _ in range(2):
        assert await sweep_deleted(database.avatars, store) == 1
        with pytest.raises(ObjectMissing):
            await store.get(key)
        await store.put(key, b"late")
    await database.run(
        update(avatars)
        .where(avatars.c.avatar_id == avatar_id)
        .values(deleted_at=from_now(-MARKED_FOR.total_seconds() - 1))
    )
    assert await sweep_deleted(database.avatars, store) == 1
    assert await sweep_deleted(database.avatars, store) == 0
    with pytest.raises(ObjectMissing):
        await store.get(key)
    assert await store.get(other) == b"picture"
    assert len(await database.rows(select(avatars))) == 1


class BusyStore(ObjectStore):
    """A store at whose first deletion something else happens in the database."""

    def __init__(self, folder: Path, happening: Callable[[], Awaitable[None]]) -> None:
        super().__init__(f"file://{folder}")
        self.happening: Callable[[], Awaitable[None]] | None = happening

    async def delete_below(self, prefix: str) -> None:
        """Let it happen, once."""
        happening, self.happening = self.happening, None
        if happening:
            await happening()
        await super().delete_below(prefix)


async def test_an_id_that_was_given_again_meanwhile_keeps_its_new_pictures(database: Database, tmp_path: Path) -> None:
    """A sweep asks again before it deletes: what it found when it began may be an avatar again."""

    async def give_again() -> None:
        await database.avatars.give_up(second)
        await database.avatar(avatar_id=second)

    store = BusyStore(tmp_path / "objects", give_again)
    (first, gone), (second, kept) = [await stored(database, store, await database.account()) for _ in range(2)]
    for avatar_id, age in ((first, 2), (second, 1)):
        await database.avatars.mark_deleted(avatar_id)
        one = update(avatars).where(avatars.c.avatar_id == avatar_id)
        await database.run(one.values(deleted_at=from_now(-age)))
    await sweep_deleted(database.avatars, store)
    assert await store.get(kept) == b"picture"
    assert await database.avatars.get(second) is not None
    with pytest.raises(ObjectMissing):
        await store.get(gone)


def test_the_mark_outlives_the_longest_upload() -> None:
    """Further portraits may be cut for a quarter of an hour."""
    assert timedelta(minutes=30) <= MARKED_FOR
