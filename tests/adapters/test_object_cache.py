"""Objects as local files: fetched once, checked, and thrown out when there are too many."""

import os
import time
from pathlib import Path

import pytest

from adapters import object_cache
from adapters.object_cache import ObjectCache
from adapters.object_store import ObjectDamaged, ObjectMissing, ObjectStore, sha256_of
from domain.failures import Unavailable


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the cache keeps its files; it makes the folder itself."""
    return tmp_path / "cache" / "pictures"


def names(folder: Path) -> list[str]:
    """The files of a folder, none where there is no folder."""
    return sorted(path.name for path in folder.glob("*"))


async def test_an_object_is_fetched_once(store: ObjectStore, folder: Path) -> None:
    """Afterwards its file serves, also where the store has lost it; another server's cache has to ask."""
    sha256 = await store.put("a/b", b"picture")
    cache = ObjectCache(store, folder)
    path = await cache.path("a/b", sha256)
    assert path.read_bytes() == b"picture"
    await store.delete_below("a")
    assert await cache.path("a/b", sha256) == path
    with pytest.raises(ObjectMissing):
        await ObjectCache(store, folder.with_name("another")).path("a/b", sha256)


async def test_what_the_store_has_wrong_is_not_kept(store: ObjectStore, folder: Path) -> None:
    """A damaged object makes no file."""
    await store.put("a/b", b"pictur")
    with pytest.raises(ObjectDamaged):
        await ObjectCache(store, folder).path("a/b", sha256_of(b"picture"))
    assert names(folder) == []


@pytest.mark.parametrize("left", [b"", b"pic", b"PICTURE"])
async def test_a_damaged_file_is_fetched_again(store: ObjectStore, folder: Path, left: bytes) -> None:
    """What a power cut left of a file must not fail every session with that avatar."""
    sha256 = await store.put("a/b", b"picture")
    cache = ObjectCache(store, folder)
    (await cache.path("a/b", sha256)).write_bytes(left)
    assert (await cache.path("a/b", sha256)).read_bytes() == b"picture"


async def test_the_files_used_longest_ago_go(store: ObjectStore, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Using a file counts, not fetching it; no more are kept than may be, and no half-written one."""
    monkeypatch.setattr(object_cache, "KEPT_FILES", 2)
    cache = ObjectCache(store, folder)
    hashes = [await store.put(f"a/{number}", bytes([number])) for number in range(3)]
    for age, number in ((300, 0), (200, 1)):
        path = await cache.path(f"a/{number}", hashes[number])
        os.utime(path, (time.time() - age, time.time() - age))
    await cache.path("a/0", hashes[0])
    await cache.path("a/2", hashes[2])
    assert names(folder) == sorted([hashes[0], hashes[2]])


async def test_what_nobody_has_used_for_a_day_goes(store: ObjectStore, folder: Path) -> None:
    """Its picture may have been deleted meanwhile; the next file that comes takes it away."""
    cache = ObjectCache(store, folder)
    hashes = [await store.put(f"a/{number}", bytes([number])) for number in range(3)]
    for hours, number in ((25, 0), (23, 1)):
        path = await cache.path(f"a/{number}", hashes[number])
        os.utime(path, (time.time() - hours * 3600, time.time() - hours * 3600))
    await cache.path("a/2", hashes[2])
    assert names(folder) == sorted(hashes[1:])


async def test_a_cache_that_cannot_be_written_is_a_passing_trouble(store: ObjectStore, folder: Path) -> None:
    """A full disk is ours to mend: the step may be tried again, here or elsewhere."""
    sha256 = await store.put("a/b", b"picture")
    folder.parent.write_text("a file where the folder should be")
    with pytest.raises(Unavailable):
        await ObjectCache(store, folder).path("a/b", sha256)
