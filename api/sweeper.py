"""Deletes staged pictures whose create or upload is long over (design rule 6)."""

import asyncio
import logging
from datetime import timedelta

from adapters.object_store import SCRATCH, ObjectStore
from api.pictures import STAGING
from domain.failures import Unavailable

log = logging.getLogger(__name__)

EVERY = timedelta(minutes=10)
OLDER_THAN = timedelta(minutes=10)
"""Ten times as long as the longest create may take, so that nothing under way is touched."""


async def sweep(store: ObjectStore) -> int:
    """Delete what is left over; the number of prefixes that went."""
    old = [found for below in (STAGING, SCRATCH) for found in await store.prefixes_older_than(below, OLDER_THAN)]
    for prefix in old:
        await store.delete_below(prefix)
    return len(old)


async def sweep_for_ever(store: ObjectStore) -> None:
    """Sweep at once and every ten minutes; trouble with the store is left to the next time."""
    while True:
        try:
            if gone := await sweep(store):
                log.info("deleted the staged pictures of %d abandoned requests", gone)
        except Unavailable as error:
            log.warning("staged pictures could not be swept: %s", error)
        except Exception:
            # A store's library may raise what we have not met: the next sweep must come all the same.
            log.exception("staged pictures could not be swept")
        await asyncio.sleep(EVERY.total_seconds())
