"""Waiting for something that will be true soon."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


async def eventually(condition: Callable[[], bool], *, within_s: float = 15) -> None:
    """Return once the condition holds; TimeoutError if it does not within the bound."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - a condition over plain values, which nobody signals
            await asyncio.sleep(0.05)


async def staging_cleared(objects: Path, *, within_s: float = 10) -> None:
    """Wait until no upload before is still cutting portraits; returns all the same where something stays staged."""
    with suppress(TimeoutError):
        await eventually(lambda: not _holds_files(objects / "staging"), within_s=within_s)


def _holds_files(folder: Path) -> bool:
    try:
        return any(path.is_file() for path in folder.rglob("*"))
    except FileNotFoundError:  # somebody deletes while we look
        return True
