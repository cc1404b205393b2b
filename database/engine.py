"""How the database is reached: one engine a process, transactions that read or write. Retries nothing."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from domain.failures import FailureCode, Refused

_POOL_SIZE = 8
_SQLITE_BUSY_S = 5.0
_READS = "greenroom_reads"
_WRITE_LOCK = "greenroom_write_lock"


def open_engine(url: str) -> AsyncEngine:
    """An engine for a SQLAlchemy address, e.g. `sqlite+aiosqlite:///FILE`; connects when first used. Dispose of it."""
    address = make_url(url)
    if address.get_backend_name() == "sqlite":
        return _open_sqlite(address)
    return create_async_engine(address, pool_size=_POOL_SIZE, max_overflow=0)


def _open_sqlite(address: URL) -> AsyncEngine:
    """SQLite with WAL, foreign keys and transactions that we begin ourselves."""
    if address.database:
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(
        address,
        pool_size=_POOL_SIZE,
        max_overflow=0,
        # isolation_level None: Python's driver would begin transactions itself, and only at the first change.
        connect_args={"isolation_level": None, "timeout": _SQLITE_BUSY_S},
        # Writers of one process stand in line here, fairly; SQLite's own waiting is a poll with growing pauses.
        execution_options={_WRITE_LOCK: asyncio.Lock()},
    )
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(dbapi_connection: Any, _record: Any) -> None:
    """Settings of a fresh connection. With WAL, NORMAL loses commits only when the machine itself goes down."""
    cursor = dbapi_connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock first: a read that becomes a write fails at once, whatever the busy timeout (rule 8)."""
    if not connection.get_execution_options().get(_READS):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection for reads, each of which sees the newest commit; TEMPORARILY_UNAVAILABLE where none answers."""
    with _absence_as_refusal():
        async with engine.connect() as connection:
            yield await connection.execution_options(**{_READS: True})


@asynccontextmanager
async def writing(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction that may write: committed at the end, rolled back by an error.

    TEMPORARILY_UNAVAILABLE where the database does not answer; whether the commit happened is then unknown, which is
    why everything that writes can be repeated.
    """
    lock: AbstractAsyncContextManager[Any] | None = engine.get_execution_options().get(_WRITE_LOCK)
    with _absence_as_refusal():
        async with lock or nullcontext(), engine.begin() as connection:
            yield connection


@contextmanager
def _absence_as_refusal() -> Iterator[None]:
    """A database that cannot be reached, or is busy for too long, as a code; our own mistakes stay what they are."""
    try:
        yield
    except (IntegrityError, ProgrammingError, DataError):
        raise
    except (DBAPIError, PoolTimeoutError, OSError) as error:
        raise Refused(FailureCode.TEMPORARILY_UNAVAILABLE, "The database did not answer") from error
