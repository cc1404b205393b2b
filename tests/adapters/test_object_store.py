"""The object store of every kind: whole objects or none, and nothing outside its root."""

import asyncio
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.object_bucket import BucketBackend
from adapters.object_store import ObjectDamaged, ObjectMissing, ObjectStore, sha256_of
from domain.failures import FailureCode, Unavailable
from support.object_stores import Open

NOW, LATER = timedelta(0), timedelta(hours=1)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def files_below(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""

    def read() -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    return await asyncio.to_thread(read)


async def test_what_was_put_can_be_got_by_whoever_opens_the_same_store(store: ObjectStore, reopen: Open) -> None:
    """The answer to a put is the hash by which the object is asked for."""
    sha256 = await store.put("avatars/a/1x1.jpg", b"picture")
    assert sha256 == sha256_of(b"picture")
    assert await reopen().get("avatars/a/1x1.jpg", sha256) == b"picture"


async def test_a_second_put_replaces_the_first(store: ObjectStore) -> None:
    """A repeated step overwrites what its first attempt left."""
    await store.put("a/b", b"first, and longer")
    await store.put("a/b", b"second")
    assert await store.get("a/b") == b"second"


async def test_a_missing_object_is_named(store: ObjectStore) -> None:
    """Its key is in the trouble for our log; to a client it is a passing trouble of ours."""
    with pytest.raises(ObjectMissing) as caught:
        await store.get("avatars/a/1x1.jpg")
    assert caught.value.code == FailureCode.TEMPORARILY_UNAVAILABLE
    assert str(caught.value) == "avatars/a/1x1.jpg"


async def test_a_damaged_object_is_not_handed_out(store: ObjectStore) -> None:
    """Bytes that do not hash to what was stored are refused; without a hash they are what they are."""
    sha256 = await store.put("a/b", b"picture")
    await store.put("a/b", b"pictur")
    with pytest.raises(ObjectDamaged):
        await store.get("a/b", sha256)
    assert await store.get("a/b") == b"pictur"


async def test_deleting_takes_everything_below_a_prefix_and_nothing_beside_it(store: ObjectStore) -> None:
    """A prefix is a folder, not the beginning of a name; what is gone already is as good."""
    for key in ("staging/1/source", "staging/1/deep/er", "staging/10/source", "staging/2/source"):
        await store.put(key, b"x")
    await store.delete_below("staging/1")
    await store.delete_below("staging/1")
    await store.delete_below("never/was")
    for gone in ("staging/1/source", "staging/1/deep/er"):
        with pytest.raises(ObjectMissing):
            await store.get(gone)
    assert await store.get("staging/10/source") + await store.get("staging/2/source") == b"xx"


HOSTILE = ["", "/", "a//b", "../secret", "a/../../secret", "a/..", "./a", "a/.", "a\0b", "a/*", "a/?", "a/[b]"]


@pytest.mark.parametrize("key", HOSTILE)
async def test_a_key_cannot_leave_the_root_or_mean_several_objects(store: ObjectStore, key: str) -> None:
    """Refused before the store is touched, for every verb that takes a key."""
    await store.put("a/b", b"x")
    for verb in (store.put(key, b"y"), store.get(key), store.delete_below(key), store.prefixes_older_than(key, NOW)):
        with pytest.raises(ValueError, match="object key"):
            await verb
    assert await store.get("a/b") == b"x"


async def test_an_absolute_key_is_taken_below_the_root(tmp_path: Path) -> None:
    """A slash in front, as addresses bring it, does not reach the machine's own files."""
    outside = tmp_path / "outside"
    store = ObjectStore(f"file://{tmp_path / 'objects'}")
    await store.put(str(outside), b"x")
    assert list(await files_below(tmp_path)) == [f"objects{outside}"]


async def test_only_folders_whose_newest_object_is_old_are_old(store: ObjectStore, reopen: Open) -> None:
    """One fresh object keeps its whole folder: a create that is under way goes on staging."""
    await store.put("staging/old/source", b"x")
    await store.put("staging/mixed/source", b"x")
    await store.put("other/source", b"x")
    seconds = 1.9 if isinstance(store._backend, BucketBackend) else 0.5  # S3 leaves out what is less than a second
    await asyncio.sleep(seconds + 0.1)
    limit = timedelta(seconds=seconds)
    await store.put("staging/mixed/deep/decoded", b"x")
    await store.put("staging/new/source", b"x")
    assert await store.prefixes_older_than("staging", limit) == ["staging/old"]
    assert await store.prefixes_older_than("staging", LATER) == []
    assert await store.prefixes_older_than("nothing", NOW) == []
    # Another process looks: nothing is remembered from a listing.
    await reopen().delete_below("staging/old")
    assert await store.prefixes_older_than("staging", limit) == []


async def test_a_put_that_fails_leaves_the_old_object_and_no_rubbish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk the object stays what it was, and the half that was written is gone."""
    store = ObjectStore(f"file://{tmp_path / 'objects'}")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    await store.put("a/b", b"old")
    with largest_file(2**20), pytest.raises(Unavailable):
        await store.put("a/b", b"x" * 2**21)
    assert await files_below(tmp_path) == {"objects/a/b": b"old"}


async def test_objects_are_never_written_elsewhere_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another disk's folder for temporary files would mean a copy, which readers could see half of."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    store = ObjectStore(f"file://{tmp_path / 'objects'}")
    await store.put("a/b", b"x")
    assert await store.get("a/b") == b"x"


async def test_readers_see_whole_objects_only(store: ObjectStore) -> None:
    """While an object is replaced again and again, each read finds one of the two."""
    values = (b"a" * 2**20, b"b" * 2**20)
    await store.put("a/b", values[0])

    async def write() -> None:
        for turn in range(20):
            await store.put("a/b", values[turn % 2])

    writing = asyncio.create_task(write())
    reads = 0
    while not writing.done():
        assert await store.get("a/b") in values
        reads += 1
    await writing
    assert reads > 1


async def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    """`check` writes: a store that can only be read is not ready. Addresses stay out of what clients see."""
    (tmp_path / "objects").write_text("a file where the folder should be")
    store = ObjectStore(f"file://{tmp_path / 'objects'}")
    with pytest.raises(Unavailable) as caught:
        await store.check()
    assert str(tmp_path) in str(caught.value)
    assert str(tmp_path) not in caught.value.message
