"""The object store, through fsspec: a local folder or S3, chosen by its address. Hands out bytes that were checked."""

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import fsspec
from fsspec.implementations.local import LocalFileSystem

from domain.failures import Unavailable

SCRATCH = ".new"
"""Where a local folder's objects are written until they are whole."""

NOT_IN_KEYS = frozenset("*?[]\0")
"""fsspec takes the first four for patterns: a prefix to delete must not match another."""

P = ParamSpec("P")
T = TypeVar("T")


class ObjectMissing(Unavailable):
    """No object lies at that key."""


class ObjectDamaged(Unavailable):
    """The object's bytes are not those that were stored."""


class ObjectStore:
    """Objects by key below one root. Keys are relative paths; the calls block in a thread, never in the event loop."""

    def __init__(self, address: str, options: Mapping[str, Any] | None = None) -> None:
        self._files, self._root = fsspec.core.url_to_fs(address, **(options or {}))

    async def put(self, key: str, data: bytes) -> str:
        """Store `data` at `key`, whole or not at all, and return its SHA-256 in hexadecimal."""
        await _call(self._put, self._path(key), data)
        return sha256_of(data)

    async def get(self, key: str, sha256: str | None = None) -> bytes:
        """The object's bytes; ObjectMissing, or ObjectDamaged if they do not hash to `sha256`."""
        data = await _call(self._get, self._path(key))
        if sha256 is not None and sha256_of(data) != sha256:
            raise ObjectDamaged(key)
        return data

    async def delete_below(self, prefix: str) -> None:
        """Delete every object below `prefix`; that there is none is as good."""
        await _call(self._delete_below, self._path(prefix))

    async def prefixes_older_than(self, prefix: str, age: timedelta) -> list[str]:
        """The folders directly below `prefix` whose newest object is older than `age`."""
        return await _call(self._old, prefix, datetime.now(UTC) - age)

    async def check(self) -> None:
        """Raise what the store raises when it cannot be reached or written to."""
        await self.put("health/check", b"ok")

    def _path(self, key: str) -> str:
        parts = key.strip("/").split("/")
        if not all(parts) or ".." in parts or "." in parts or not NOT_IN_KEYS.isdisjoint(key):
            raise ValueError("an object key is a relative path without empty, . or .. parts and without wildcards")
        return f"{self._root}/{'/'.join(parts)}"

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

    def _get(self, path: str) -> bytes:
        try:
            return bytes(self._files.cat_file(path))
        except FileNotFoundError:
            raise ObjectMissing(path.removeprefix(f"{self._root}/")) from None

    def _delete_below(self, path: str) -> None:
        try:
            self._files.rm(path, recursive=True)
        except FileNotFoundError:
            return

    def _old(self, prefix: str, before: datetime) -> list[str]:
        root = self._path(prefix)
        self._files.invalidate_cache()
        try:
            found = self._files.find(root, detail=True)
        except FileNotFoundError:
            return []
        newest: dict[str, datetime] = {}
        for path, info in found.items():
            folder = path.removeprefix(f"{root}/").split("/", 1)[0]
            newest[folder] = max(newest.get(folder, datetime.min.replace(tzinfo=UTC)), self._modified(path, info))
        return sorted(f"{prefix}/{folder}" for folder, at in newest.items() if at < before)

    def _modified(self, path: str, info: Mapping[str, Any]) -> datetime:
        """When an object was written: local folders say seconds, S3 says a datetime, others are asked."""
        at = info.get("mtime") or info.get("LastModified") or self._files.modified(path)
        return at if isinstance(at, datetime) else datetime.fromtimestamp(float(at), UTC)


async def _call(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking call in a thread; whatever trouble the store has is Unavailable."""
    try:
        return await asyncio.to_thread(work, *args, **kwargs)
    except OSError as error:
        raise Unavailable(f"object store: {error}") from error


def sha256_of(data: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(data).hexdigest()
