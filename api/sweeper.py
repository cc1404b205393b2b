"""Deletes what is long over: staged pictures (design rule 6), what deleted avatars left, rows that found repeats."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

from adapters.object_store import SCRATCH, ObjectStore
from api.deletion import sweep_deleted
from database.avatars import Avatars
from database.creates import Creates
from domain.avatars import STAGING
from domain.failures import Unavailable

log = logging.getLogger(__name__)

EVERY = timedelta(minutes=10)
OLDER_THAN = timedelta(minutes=10)
"""Longer than any create may take, so that nothing under way is touched."""


async def sweep(store: ObjectStore) -> int:
    """Delete what is left over; the number of prefixes that went."""
    old = [found for below in (STAGING, SCRATCH) for found in await store.prefixes_older_than(below, OLDER_THAN)]
    for prefix in old:
        await store.delete_below(prefix)
    return len(old)


async def sweep_for_ever(store: ObjectStore, avatars: Avatars, creates: Creates) -> None:
    """Sweep at once and every ten minutes; trouble with the store or the database is left to the next time."""
    while True:
        await _swept("the staged pictures of abandoned requests", lambda: sweep(store))
        await _swept("what deleted avatars left", lambda: sweep_deleted(avatars, store))
        await _swept("what repeats of old creates would have found", creates.sweep)
        await asyncio.sleep(EVERY.total_seconds())


async def _swept(what: str, work: Callable[[], Awaitable[int]]) -> None:
    try:
        if gone := await work():
            log.info("deleted %s: %d", what, gone)
    except Unavailable as error:
        log.warning("%s could not be deleted: %s", what, error)
    except Exception:
        # A store's library may raise what we have not met: the next sweep must come all the same.
        log.exception("%s could not be deleted", what)
