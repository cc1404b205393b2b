"""Objects of the store as local files, for processes that read files; by hash, so that nothing in it is ever stale."""

import asyncio
import os
import tempfile
import time
from pathlib import Path

from adapters.object_store import ObjectStore, sha256_of
from domain.failures import Unavailable

KEPT_FILES = 512
KEPT_S = 24 * 3600.0
"""A file that nobody has used for so long goes with the next one that comes: its picture may have been deleted."""


class ObjectCache:
    """A folder of files named by SHA-256. The ones used longest ago go when there are too many."""

    def __init__(self, store: ObjectStore, folder: Path) -> None:
        self._store = store
        self._folder = folder

    async def path(self, key: str, sha256: str) -> Path:
        """The object's file; fetched, and checked, unless it is there. ObjectMissing, ObjectDamaged, Unavailable."""
        path = self._folder / sha256
        if await asyncio.to_thread(_holds, path, sha256):
            return path
        data = await self._store.get(key, sha256)
        try:
            await asyncio.to_thread(self._keep, path, data)
        except OSError as error:
            raise Unavailable(f"picture cache: {error}") from error
        return path

    def _keep(self, path: Path, data: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._folder, prefix=".new-")
        scratch = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            scratch.replace(path)
        except BaseException:
            scratch.unlink(missing_ok=True)
            raise
        files = sorted(self._folder.glob("[0-9a-f]*"), key=_used_at)
        stale = [old for old in files if _used_at(old) < time.time() - KEPT_S]
        for old in {*files[:-KEPT_FILES], *stale}:
            old.unlink(missing_ok=True)


def _holds(path: Path, sha256: str) -> bool:
    """Is the file there, and whole? A power cut can leave an empty one. It counts as used now."""
    try:
        os.utime(path)
        return sha256_of(path.read_bytes()) == sha256
    except OSError:
        return False


def _used_at(path: Path) -> float:
    """When a file was used last; another process may have thrown it out meanwhile."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
