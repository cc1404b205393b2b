"""Objects in a local folder, or wherever else fsspec can write; every call blocks in a thread, never in the loop."""

import asyncio
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

SCRATCH = ".new"
"""Where a local folder's objects are written until they are whole."""


class FolderBackend:
    """Files below one root."""

    def __init__(self, address: str) -> None:
        self._files, self._root = fsspec.core.url_to_fs(address)

    async def make(self) -> None:
        """A folder is made with its first object."""

    async def put(self, key: str, data: bytes) -> None:
        """Store `data` at `key`, whole or not at all."""
        await asyncio.to_thread(self._put, self._path(key), data)

    async def get(self, key: str) -> bytes:
        """The object's bytes; FileNotFoundError where there is none."""
        return bytes(await asyncio.to_thread(self._files.cat_file, self._path(key)))

    async def delete_below(self, prefix: str) -> None:
        """Delete every object below `prefix`, or the one there; that there is none is as good."""
        await asyncio.to_thread(self._delete, self._path(prefix))

    async def modified_below(self, prefix: str) -> Mapping[str, datetime]:
        """When each object below `prefix` was written, by its path below `prefix`."""
        return await asyncio.to_thread(self._modified, self._path(prefix))

    async def aclose(self) -> None:
        """Nothing is open."""

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    def _put(self, path: str, data: bytes) -> None:
        if not isinstance(self._files, LocalFileSystem):
            # An object store shows an object when it is whole.
            self._files.pipe_file(path, data)
            return
        # Written below the same root, so that it is renamed and never copied: fsspec's own commit writes to the
        # machine's folder for temporary files, which in a container is another disk.
        scratch = f"{self._root}/{SCRATCH}/{secrets.token_hex(8)}"
        self._files.makedirs(f"{self._root}/{SCRATCH}", exist_ok=True)
        self._files.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        try:
            self._files.pipe_file(scratch, data)
            Path(scratch).replace(path)
        except BaseException:
            Path(scratch).unlink(missing_ok=True)
            raise

    def _delete(self, path: str) -> None:
        try:
            self._files.rm(path, recursive=True)
        except FileNotFoundError:
            return

    def _modified(self, root: str) -> dict[str, datetime]:
        self._files.invalidate_cache()
        try:
            found = self._files.find(root, detail=True)
        except FileNotFoundError:
            return {}
        return {path.removeprefix(f"{root}/"): self._written(path, info) for path, info in found.items()}

    def _written(self, path: str, info: Mapping[str, Any]) -> datetime:
        """Local folders say seconds; others are asked."""
        at = info.get("mtime") or self._files.modified(path)
        return at if isinstance(at, datetime) else datetime.fromtimestamp(float(at), UTC)
