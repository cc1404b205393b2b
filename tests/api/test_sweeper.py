"""The sweeper deletes what abandoned requests staged and deleted avatars left, and never stops sweeping."""

import asyncio
import os
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.object_store import ObjectMissing, ObjectStore
from api import sweeper
from api.pictures import SentPicture, stage
from database.creates import Creates
from domain.failures import Unavailable
from support.databases import Database
from support.eventually import eventually

OLD_S = sweeper.OLDER_THAN.total_seconds() + 60


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    """An empty store."""
    return ObjectStore(f"file://{tmp_path}")


def age(folder: Path) -> None:
    """Let everything in a folder have been written before the sweeper's limit."""
    for path in folder.rglob("*"):
        os.utime(path, (time.time() - OLD_S, time.time() - OLD_S))


async def test_only_what_is_long_over_is_swept(store: ObjectStore, tmp_path: Path) -> None:
    """An abandoned request's pictures go; one under way keeps its own, and avatars are nobody's rubbish."""
    await stage(store, "sess_old", SentPicture(data=b"picture"))
    await store.put("staging/sess_old/decoded.jpg", b"decoded")
    await store.put("avatars/avat_1/1x1.jpg", b"avatar")
    await store.put(".new/half-written", b"half")
    age(tmp_path)
    kept = await stage(store, "sess_new", SentPicture(data=b"picture"))
    assert await sweeper.sweep(store) == 2
    for gone in ("staging/sess_old/source", "staging/sess_old/decoded.jpg", ".new/half-written"):
        with pytest.raises(ObjectMissing):
            await store.get(gone)
    assert await store.get(kept.source.key, kept.source.sha256) == b"picture"
    assert await store.get("avatars/avat_1/1x1.jpg") == b"avatar"
    assert await sweeper.sweep(store) == 0


def test_nothing_that_may_be_under_way_is_old() -> None:
    """The longest create takes a minute by default; the sweeper leaves it much more."""
    assert timedelta(minutes=10) <= sweeper.OLDER_THAN


class FlakyStore(ObjectStore):
    """A store that fails its first looks."""

    def __init__(self, folder: Path, *troubles: Exception) -> None:
        super().__init__(f"file://{folder}")
        self.troubles = list(troubles)

    async def prefixes_older_than(self, prefix: str, age: timedelta) -> list[str]:
        """Fail once for each trouble."""
        if self.troubles:
            raise self.troubles.pop(0)
        return await super().prefixes_older_than(prefix, age)


async def test_trouble_with_the_store_is_left_to_the_next_sweep(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the store raises, known or not, the sweeps go on, and those of deleted avatars are not held up."""
    monkeypatch.setattr(sweeper, "EVERY", timedelta(seconds=0.01))
    folder, owner = tmp_path / "objects", await database.account()
    store = FlakyStore(folder, Unavailable("away"), RuntimeError("a surprise"))
    await stage(store, "sess_old", SentPicture(data=b"picture"))
    avatar_id = await database.avatar(owner)
    await store.put(f"avatars/{avatar_id}/1x1.jpg", b"picture")
    await database.avatars.mark_deleted(avatar_id, owner)
    age(folder)
    sweeping = asyncio.create_task(sweeper.sweep_for_ever(store, database.avatars, Creates(database.engine)))
    try:
        await eventually(lambda: not (folder / "avatars" / avatar_id).exists())
        await eventually(lambda: not (folder / "staging" / "sess_old").exists())
    finally:
        sweeping.cancel()
        with suppress(asyncio.CancelledError):
            await sweeping
    assert store.troubles == []
