"""aiosqlite with one trip to its thread a statement, where it takes four: cursor, execute, fetch, close.

A trip costs more than most of our statements: two wake-ups of sleeping threads. Nothing else of aiosqlite is changed.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import aiosqlite

T = TypeVar("T")

Row = Sequence[Any]


class OneTripConnection(aiosqlite.Connection):
    """A connection whose cursors bring all rows along, and which rolls back only what was begun."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Two counters, each written by one thread only: together they tell whether anything is under way.
        self._asked = 0
        self._done = 0

    async def cursor(self) -> "OneTripCursor":  # type: ignore[override]
        """A cursor; the connection's thread hears of it with its first statement."""
        return OneTripCursor(self)

    async def rollback(self) -> None:
        """Roll back. Costs nothing where no transaction can be open, as after every read."""
        if self._asked != self._done or self._conn.in_transaction:
            await super().rollback()

    async def perform(self, work: Callable[..., T], *args: Any) -> T:
        """Do something in the connection's thread."""
        result: T = await self._execute(work, *args)
        return result

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        def counted() -> Any:
            try:
                return fn(*args, **kwargs)
            finally:
                self._done += 1

        self._asked += 1
        return await super()._execute(counted)  # type: ignore[no-untyped-call]


class OneTripCursor:
    """One statement and its rows: what SQLAlchemy asks of an aiosqlite cursor."""

    def __init__(self, connection: OneTripConnection) -> None:
        self._connection = connection
        self._rows: list[Row] = []
        self.description: Any = None
        """As the DB-API has it; None for a statement without rows."""
        self.lastrowid: int | None = None
        self.rowcount = -1

    async def execute(self, sql: str, parameters: Iterable[Any] | None = None) -> None:
        """Run a statement and fetch all of its rows."""
        await self._connection.perform(self._run, "execute", sql, parameters or ())

    async def executemany(self, sql: str, parameters: Iterable[Iterable[Any]]) -> None:
        """Run a statement with each of the parameters."""
        await self._connection.perform(self._run, "executemany", sql, parameters)

    async def fetchall(self) -> list[Row]:
        """The rows, which are here already."""
        return self._rows

    async def close(self) -> None:
        """Nothing is open any more."""

    def _run(self, how: str, sql: str, parameters: Any) -> None:
        cursor = getattr(self._connection._conn, how)(sql, parameters)  # noqa: SLF001 - this runs in its thread
        try:
            self.description, self.lastrowid = cursor.description, cursor.lastrowid
            self._rows = cursor.fetchall() if cursor.description else []
            self.rowcount = cursor.rowcount
        finally:
            cursor.close()
