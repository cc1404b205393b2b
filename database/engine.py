"""How the database is reached: one engine a process, transactions that read or write. Retries nothing."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from typing import Any

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from database.engines.absence import absence_as_refusal
from database.engines.postgresql import open_postgresql
from database.engines.sqlite import READS, WRITE_LOCK, open_sqlite
from domain.failures import Refused, Unavailable
from telemetry.metrics import DATABASE_SECONDS

ANSWER_WITHIN_S = 4.5
"""A whole transaction on PostgreSQL, with the wait for a connection."""

_POOL_SIZE = 8
_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}


class AddressError(ValueError):
    """The address of a database is none that we can use; the message does not quote it: it may hold a password."""


def open_engine(url: str, *, connections: int = _POOL_SIZE) -> AsyncEngine:
    """An engine for a database's address; connects when first used. Dispose of it. AddressError for other addresses.

    `sqlite+aiosqlite:///FILE`, or `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`, where `+asyncpg` goes without
    saying. `connections` are held at most.
    """
    address = _address(url)
    if address.get_backend_name() == "sqlite":
        return open_sqlite(address, connections)
    return open_postgresql(address, connections)


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):  # not chained: it may quote a part of a password that has an @ or / in it
        raise AddressError("the database's address cannot be read; write @ : / in a password as %40 %3A %2F") from None
    driver = _DRIVERS.get(address.drivername)
    if driver is None:
        raise AddressError(f"a database of kind {address.drivername} cannot be used; sqlite or postgresql can")
    return address.set(drivername=driver)


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection for reads, each of which sees the newest commit; Unavailable where none answers."""
    # Without a transaction: on PostgreSQL a read is then one round trip, and holds nothing up.
    options: dict[str, Any] = {"isolation_level": "AUTOCOMMIT"} if _is_postgresql(engine) else {READS: True}
    with _timed("read"), absence_as_refusal():
        async with _answering_within(engine, ANSWER_WITHIN_S), engine.connect() as connection:
            yield await connection.execution_options(**options)


@asynccontextmanager
async def writing(engine: AsyncEngine, *, within_s: float | None = ANSWER_WITHIN_S) -> AsyncIterator[AsyncConnection]:
    """One transaction that may write: committed at the end, rolled back by an error and after `within_s` seconds.

    Unavailable where the database does not answer; whether the commit happened is then unknown, which is why
    everything that writes can be repeated. SQLite ends its own waits.
    """
    lock: AbstractAsyncContextManager[Any] | None = engine.get_execution_options().get(WRITE_LOCK)
    with _timed("write"), absence_as_refusal():
        async with _answering_within(engine, within_s), lock or nullcontext(), engine.begin() as connection:
            yield connection


@contextmanager
def _timed(kind: str) -> Iterator[None]:
    """Count a read or a transaction, and how it ended: an answer that is a refusal is one, too."""
    began, outcome = time.monotonic(), "failed"
    try:
        yield
        outcome = "ok"
    except Refused as refusal:
        outcome = "failed" if isinstance(refusal, Unavailable) else "refused"
        raise
    finally:
        DATABASE_SECONDS.labels(kind, outcome).observe(time.monotonic() - began)


def _answering_within(engine: AsyncEngine, seconds: float | None) -> asyncio.Timeout:
    """The server's own timeouts do not help where the server stands still, or is no longer there."""
    return asyncio.timeout(seconds if _is_postgresql(engine) else None)


def _is_postgresql(engine: AsyncEngine) -> bool:
    return engine.dialect.name == "postgresql"
