"""The object store: a local folder or an S3 bucket, chosen by its address. Hands out bytes that were checked."""

import hashlib
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from adapters.object_address import S3
from adapters.object_backend import Backend
from adapters.object_folder import SCRATCH, FolderBackend
from domain.failures import Unavailable

NOT_IN_KEYS = frozenset("*?[]\0")
"""fsspec takes the first four for patterns: a prefix to delete must not match another."""

T = TypeVar("T")


class ObjectMissing(Unavailable):
    """No object lies at that key."""


class ObjectDamaged(Unavailable):
    """The object's bytes are not those that were stored."""


class ObjectStore:
    """Objects by key below one root. Keys are relative paths; no call blocks the event loop.

    The words besides the address are for S3 only; empty ones are found as botocore finds them. A store that was used
    is closed by `aclose`.
    """

    def __init__(
        self, address: str, *, endpoint: str = "", access_key: str = "", secret_key: str = "", region: str = ""
    ) -> None:
        if not address.startswith(S3):
            self._backend: Backend = FolderBackend(address)
            return
        # It takes a second to import, and a store in a folder does without.
        from adapters.object_bucket import BucketBackend  # noqa: PLC0415

        self._backend = BucketBackend(
            address, endpoint=endpoint, access_key=access_key, secret_key=secret_key, region=region
        )

    async def put(self, key: str, data: bytes) -> str:
        """Store `data` at `key`, whole or not at all, and return its SHA-256 in hexadecimal."""
        await _untroubled(self._backend.put(checked(key), data))
        return sha256_of(data)

    async def get(self, key: str, sha256: str | None = None) -> bytes:
        """The object's bytes; ObjectMissing, or ObjectDamaged if they do not hash to `sha256`."""
        key = checked(key)
        try:
            data = await _untroubled(self._backend.get(key))
        except FileNotFoundError:
            raise ObjectMissing(key) from None
        if sha256 is not None and sha256_of(data) != sha256:
            raise ObjectDamaged(key)
        return data

    async def delete_below(self, prefix: str) -> None:
        """Delete every object below `prefix`; that there is none is as good."""
        await _untroubled(self._backend.delete_below(checked(prefix)))

    async def keys_below(self, prefix: str) -> list[str]:
        """The keys of every object below `prefix`, in order."""
        prefix = checked(prefix)
        return sorted(f"{prefix}/{path}" for path in await _untroubled(self._backend.modified_below(prefix)))

    async def prefixes_older_than(self, prefix: str, age: timedelta) -> list[str]:
        """The folders directly below `prefix` whose newest object is older than `age`."""
        before = datetime.now(UTC) - age
        newest: dict[str, datetime] = {}
        for path, at in (await _untroubled(self._backend.modified_below(checked(prefix)))).items():
            folder = path.split("/", 1)[0]
            newest[folder] = max(newest.get(folder, at), at)
        return sorted(f"{prefix}/{folder}" for folder, at in newest.items() if at < before)

    async def look(self) -> None:
        """Raise what the store raises when it cannot be read, BucketMissing among it; nothing is written."""
        await _untroubled(self._backend.modified_below("health"))

    async def make(self) -> None:
        """Make the bucket that objects are to lie in, unless it is there; a folder needs no making."""
        await _untroubled(self._backend.make())

    async def check(self) -> None:
        """Raise what the store raises when it cannot be reached or written to."""
        await self.put("health/check", b"ok")

    async def aclose(self) -> None:
        """Close its connections; safe to repeat."""
        await self._backend.aclose()


def checked(key: str) -> str:
    """The key without slashes at its ends; ValueError if it is no path below the root, or could mean several."""
    parts = key.strip("/").split("/")
    if not all(parts) or ".." in parts or "." in parts or not NOT_IN_KEYS.isdisjoint(key):
        raise ValueError("an object key is a relative path without empty, . or .. parts and without wildcards")
    return "/".join(parts)


async def _untroubled(work: Awaitable[T]) -> T:
    """The result; whatever trouble the store has is Unavailable, but for an object that is not there."""
    try:
        return await work
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unavailable(f"object store: {error}") from error


def sha256_of(data: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(data).hexdigest()


__all__ = ["SCRATCH", "ObjectDamaged", "ObjectMissing", "ObjectStore", "checked", "sha256_of"]
