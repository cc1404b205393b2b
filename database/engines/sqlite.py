"""SQLite as the embedded database: one file, one writer at a time. Writers of one process stand in line."""

import asyncio
import sqlite3
import time
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from database.engines.one_trip import OneTripConnection

BUSY_S = 5.0
ITER_CHUNK_SIZE = 64
"""aiosqlite's own default; we fetch all rows at once."""
READS = "greenroom_reads"
WRITE_LOCK = "greenroom_write_lock"


def open_sqlite(address: URL, connections: int) -> AsyncEngine:
    """An engine with WAL, foreign keys and transactions that we begin ourselves; a missing folder is made."""
    if address.database:
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(
        address,
        pool_size=connections,
        max_overflow=0,
        hide_parameters=True,
        async_creator=partial(connect, address.database or ":memory:"),
        # Writers of one process stand in line here, fairly; SQLite's own waiting is a poll with growing pauses.
        execution_options={WRITE_LOCK: asyncio.Lock()},
    )
    event.listen(engine.sync_engine, "connect", _prepare)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


async def connect(file: str) -> OneTripConnection:
    """A connection in a thread of its own, which ends with the process."""
    # isolation_level None: Python's driver would begin transactions itself, and only at the first change.
    open_file = partial(sqlite3.connect, file, isolation_level=None, timeout=BUSY_S)
    connection = OneTripConnection(open_file, ITER_CHUNK_SIZE)
    connection._thread.daemon = True  # noqa: SLF001 - as SQLAlchemy does with the connections that it makes itself
    await connection
    return connection


def _prepare(dbapi_connection: Any, _record: Any) -> None:
    """Settings of a fresh connection. With WAL, NORMAL loses commits only when the machine itself goes down."""
    cursor = dbapi_connection.cursor()
    _use_wal(cursor)
    for pragma in ("synchronous = NORMAL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _use_wal(cursor: Any) -> None:
    """Make the file's journal a WAL. Who does so at the same moment fails at once, whatever the busy timeout."""
    give_up = time.monotonic() + BUSY_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(0.005)  # nobody has opened this file yet: there is nothing that the loop could serve
        else:
            return


def _begin(connection: Connection) -> None:
    """Take the write lock first: a read that becomes a write fails at once, whatever the busy timeout (rule 8)."""
    if not connection.get_execution_options().get(READS):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
