"""Waiting for something that will be true soon."""

import asyncio
from collections.abc import Callable


async def eventually(condition: Callable[[], bool], *, within_s: float = 15) -> None:
    """Return once the condition holds; TimeoutError if it does not within the bound."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - a condition over plain values, which nobody signals
            await asyncio.sleep(0.05)
