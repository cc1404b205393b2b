"""What the object store asks of a kind of store, and the troubles that are told apart; it opens none."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from domain.failures import Unavailable


class StoreUnreachable(Unavailable):
    """The store does not answer, or not in time."""


class StoreRefused(Unavailable):
    """The store does not accept our credentials, or does not allow them what we need."""


class BucketMissing(Unavailable):
    """The store answers, but has no such bucket."""


class Backend(Protocol):
    """One kind of store below one root; keys are checked before they come here. Trouble is Unavailable or OSError."""

    async def make(self) -> None:
        """Make what the objects lie in; that it is there is as good."""
        ...

    async def put(self, key: str, data: bytes) -> None:
        """Store `data` at `key`, whole or not at all."""
        ...

    async def get(self, key: str) -> bytes:
        """The object's bytes; FileNotFoundError where there is none."""
        ...

    async def delete_below(self, prefix: str) -> None:
        """Delete every object below `prefix`; that there is none is as good."""
        ...

    async def modified_below(self, prefix: str) -> Mapping[str, datetime]:
        """When each object below `prefix` was written, by its path below `prefix`."""
        ...

    async def aclose(self) -> None:
        """Close what is open; safe to repeat."""
        ...
