"""What takes a part's service away without killing it."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path


@asynccontextmanager
async def database_slow(file: Path, seconds: float, free_s: float = 0.4) -> AsyncIterator[list[int]]:
    """Whoever writes waits for so many seconds at most, again and again; an entry for each time."""
    locks = list[int]()

    async def lock() -> None:
        with closing(sqlite3.connect(file, isolation_level=None, timeout=10)) as connection:
            while True:
                connection.execute("BEGIN IMMEDIATE")
                locks.append(1)
                try:
                    await asyncio.sleep(seconds)
                finally:
                    connection.execute("ROLLBACK")
                await asyncio.sleep(free_s)

    task = asyncio.create_task(lock())
    try:
        yield locks
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def database_locked(file: Path, seconds: float) -> AsyncIterator[None]:
    """Nobody can write to the database, for at least so many seconds; who reads still can."""
    with closing(sqlite3.connect(file, isolation_level=None, timeout=10)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        try:
            yield
            await asyncio.sleep(max(seconds - (time.monotonic() - began), 0))
        finally:
            connection.execute("ROLLBACK")


@contextmanager
def storage_away(folder: Path) -> Iterator[None]:
    """A plain file stands where the object store was: it can be neither read nor written, not even by root."""
    away = folder.with_name("objects-away")
    folder.rename(away)
    folder.write_bytes(b"")
    try:
        yield
    finally:
        folder.unlink()
        away.rename(folder)
