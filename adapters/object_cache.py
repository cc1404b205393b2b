"""Objects of the store as local files, for processes that read files; by hash, so that nothing in it is ever stale."""

import asyncio
import os
import tempfile
from pathlib import Path

from adapters.object_store import ObjectStore

KEPT_FILES = 512


class ObjectCache:
    """A folder of files named by SHA-256. The ones used longest ago go when there are too many."""

    def __init__(self, store: ObjectStore, folder: Path) -> None:
        self._store = store
        self._folder = folder

    async def path(self, key: str, sha256: str) -> Path:
        """The object's file; fetched, and checked, unless it is there. ObjectMissing, ObjectDamaged, Unavailable."""
        path = self._folder / sha256
        if await asyncio.to_thread(_touch, path):
            return path
        data = await self._store.get(key, sha256)
        await asyncio.to_thread(self._keep, path, data)
        return path

    def _keep(self, path: Path, data: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(dir=self._folder, prefix=".new-")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(scratch).replace(path)
        files = sorted(self._folder.glob("[0-9a-f]*"), key=lambda one: one.stat().st_mtime)
        for old in files[:-KEPT_FILES]:
            old.unlink(missing_ok=True)


def _touch(path: Path) -> bool:
    """Is the file there? Its time of change is then now."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True
