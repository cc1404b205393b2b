"""The database of a system under fault, of either kind: read beside the product, locked, slowed, or taken away."""

import asyncio
import itertools
import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from database.tables import METADATA
from support.databases import PostgreSQLMaker, sqlite_url
from support.gate import Gate
from support.postgresql_server import PostgreSQLServer

Rows = list[tuple[Any, ...]]
Tables = dict[str, list[dict[str, Any]]]
T = TypeVar("T")

SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"
FREE_S = 0.4
"""How long a slow database answers at once between two waits."""
LOCK_TRIES = 10
READ_WITHIN_S = 20.0
"""A test's own look waits so long for a server that is being started again."""


class FaultDatabase(ABC):
    """What the fault tests need of a database; its readers go another way than the product."""

    kind: str
    url: str
    """For the product."""

    @abstractmethod
    def rows(self, query: str, *values: Any) -> Rows:
        """The rows of a query, whose parameters are `?`."""

    @abstractmethod
    def tables(self, names: Iterable[str]) -> Tables:
        """All rows of some tables, read at one moment."""

    @abstractmethod
    def _lock(self) -> AbstractAsyncContextManager[None]:
        """While it is open nobody else can write; who reads still can."""

    @abstractmethod
    def refuses(self, seconds: float) -> AbstractAsyncContextManager[None]:
        """It does nobody's work, for at least so many seconds."""

    @abstractmethod
    def close(self) -> None:
        """Nothing of the test's own is open any more."""

    @asynccontextmanager
    async def locked(self, seconds: float) -> AsyncIterator[None]:
        """Nobody can write, for at least so many seconds; who reads still can."""
        async with self._lock(), lasting(seconds):
            yield

    @asynccontextmanager
    async def slow(self, seconds: float) -> AsyncIterator[list[int]]:
        """Whoever writes waits for so many seconds at most, again and again; an entry for each time."""
        locks = list[int]()

        async def lock_again() -> None:
            while True:
                async with self._lock():
                    locks.append(1)
                    await asyncio.sleep(seconds)
                await asyncio.sleep(FREE_S)

        task = asyncio.create_task(lock_again())
        try:
            yield locks
        finally:
            task.cancel()
            for wrong in await asyncio.gather(task, return_exceptions=True):
                if isinstance(wrong, Exception):
                    raise wrong


@asynccontextmanager
async def lasting(seconds: float) -> AsyncIterator[None]:
    """A block that takes at least so many seconds."""
    began = time.monotonic()
    yield
    await asyncio.sleep(max(seconds - (time.monotonic() - began), 0))


class SQLiteDatabase(FaultDatabase):
    """A file. It refuses by its lock: there is no server that could be away."""

    kind = SQLITE

    def __init__(self, folder: Path) -> None:
        """`folder`: the system's data folder."""
        self.file = folder / "greenroom.db"
        self.url = sqlite_url(self.file)

    def rows(self, query: str, *values: Any) -> Rows:
        """By another connection to the file."""
        with closing(self._reader()) as connection:
            return connection.execute(query, values).fetchall()

    def tables(self, names: Iterable[str]) -> Tables:
        """In one transaction."""
        with closing(self._reader()) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("BEGIN")
            return {name: [dict(row) for row in connection.execute(f"SELECT * FROM {name}")] for name in names}  # noqa: S608 - our own names

    @asynccontextmanager
    async def _lock(self) -> AsyncIterator[None]:
        with closing(sqlite3.connect(self.file, isolation_level=None, timeout=10)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            finally:
                connection.execute("ROLLBACK")

    def refuses(self, seconds: float) -> AbstractAsyncContextManager[None]:
        """Every write."""
        return self.locked(seconds)

    def close(self) -> None:
        """Each look closed its own."""

    def _reader(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self.file}?mode=ro", uri=True, isolation_level=None)


class PostgreSQLDatabase(FaultDatabase):
    """A database of a server of its own, which the product reaches through a gate and the tests do not."""

    kind = POSTGRESQL

    def __init__(self, server: PostgreSQLServer, gate: Gate, url: str) -> None:
        """`url`: of the database on the server itself."""
        self.server = server
        self._gate = gate
        self._direct = url
        self.url = make_url(url).set(port=gate.port).render_as_string(hide_password=False)
        self._aside = _LoopAside()
        self._engine = create_async_engine(url, pool_pre_ping=True)

    def rows(self, query: str, *values: Any) -> Rows:
        """Waits for a server that is being started again."""
        numbers = itertools.count(1)
        numbered = "".join(f"${next(numbers)}" if letter == "?" else letter for letter in query)

        async def read() -> Rows:
            async with self._engine.connect() as connection:
                found = await connection.exec_driver_sql(numbered, tuple(str(value) for value in values))
                return [tuple(row) for row in found]

        return self._tried(read)

    def tables(self, names: Iterable[str]) -> Tables:
        """In one transaction that sees one moment."""
        wanted = list(names)

        async def read() -> Tables:
            async with self._engine.connect() as connection:
                await connection.execution_options(isolation_level="REPEATABLE READ")
                found = {name: await connection.exec_driver_sql(f"SELECT * FROM {name}") for name in wanted}  # noqa: S608 - our own names
                return {name: [dict(row) for row in rows.mappings()] for name, rows in found.items()}

        return self._tried(read)

    @asynccontextmanager
    async def _lock(self) -> AsyncIterator[None]:
        engine = create_async_engine(self._direct)
        try:
            async with engine.connect() as connection:
                await _lock_tables(connection)
                yield
        finally:
            await engine.dispose()

    @asynccontextmanager
    async def refuses(self, seconds: float) -> AsyncIterator[None]:
        """Every connection, those that are open included."""
        await self._gate.shut()
        try:
            async with lasting(seconds):
                yield
        finally:
            await self._gate.open()

    def close(self) -> None:
        """Close the readers' connections."""
        self._aside.run(self._engine.dispose())
        self._aside.close()

    def _tried(self, read: Any) -> Any:
        """A read's result; tried again while the server is away."""
        until = time.monotonic() + READ_WITHIN_S
        while True:
            try:
                return self._aside.run(read())
            except (DBAPIError, OSError):
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)


async def _lock_tables(connection: AsyncConnection) -> None:
    """Let nobody else write until the transaction's end. Whom a deadlock with the product has undone tries again."""
    for left in reversed(range(LOCK_TRIES)):
        try:
            # Of this mode: it stops nobody who reads.
            await connection.exec_driver_sql(f"LOCK TABLE {', '.join(sorted(METADATA.tables))} IN EXCLUSIVE MODE")
        except DBAPIError:
            await connection.rollback()
            if not left:
                raise
        else:
            return


class _LoopAside:
    """An event loop in a thread of its own, so that a plain function can ask an asynchronous driver."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, asking: Coroutine[Any, Any, T]) -> T:
        """The answer; the caller stands still meanwhile."""
        return asyncio.run_coroutine_threadsafe(asking, self._loop).result(READ_WITHIN_S)

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@asynccontextmanager
async def postgresql_database(server: PostgreSQLServer) -> AsyncIterator[PostgreSQLDatabase]:
    """A new database of a server behind a gate, not migrated."""
    maker = PostgreSQLMaker(server)
    url = await maker.empty(Path())
    async with Gate(server.port) as gate:
        database = PostgreSQLDatabase(server, gate, url)
        yield database
        database.close()
    await maker.aclose()


def sums(rows: Iterable[dict[str, Any]], by: str, what: str) -> Iterator[tuple[str, int]]:
    """What adds up to how much."""
    for key, group in itertools.groupby(sorted(rows, key=lambda row: str(row[by])), key=lambda row: str(row[by])):
        yield key, sum(row[what] for row in group)
