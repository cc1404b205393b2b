"""A sign of life from steps that take a while, so that a dead worker is noticed soon; it carries no news."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio import activity

BEAT_S = 1.0


@asynccontextmanager
async def beating() -> AsyncIterator[None]:
    """Heartbeat once a second as long as the event loop runs; without it a dead worker's step waits for its timeout.

    What blocks must stand in a thread or a process. Outside of Temporal, as in a test, there is nobody to tell.
    """
    if not activity.in_activity():
        yield
        return
    beats = asyncio.create_task(_beat())
    try:
        yield
    finally:
        beats.cancel()


async def _beat() -> None:
    while True:
        # Not at once: most steps are done before, and a beat costs Temporal as much as a step's end.
        await asyncio.sleep(BEAT_S)
        activity.heartbeat()
