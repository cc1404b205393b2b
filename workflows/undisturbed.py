"""Work that a cancellation must not cut short. Knows nothing of what the work is."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def undisturbed(work: Awaitable[T]) -> T:
    """Run `work` to its end, even if the workflow is cancelled meanwhile.

    Temporal delivers one cancellation to a run, at whatever it awaits: clean-up that were awaited directly would be
    the thing that is cancelled. The cancellation is swallowed, since what follows such work is the end in any case.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        return await task
