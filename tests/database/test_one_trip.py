"""The connection to SQLite that brings all rows along: what SQLAlchemy relies on, and what a cancellation leaves."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from database.engines.one_trip import OneTripConnection
from database.engines.sqlite import connect


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[OneTripConnection]:
    """A connection to a new file with one table."""
    connection = await connect(str(tmp_path / "one.db"))
    cursor = await connection.cursor()
    await cursor.execute("CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT)")
    yield connection
    await connection.close()


async def test_rows_come_with_the_statement(connection: OneTripConnection) -> None:
    """Description and rows are there after execute; fetch and close ask the thread for nothing."""
    cursor = await connection.cursor()
    await cursor.executemany("INSERT INTO things (name) VALUES (?)", [("a",), ("b",)])
    assert (cursor.rowcount, cursor.description) == (2, None)
    await cursor.execute("SELECT id, name FROM things ORDER BY id")
    asked = connection._asked
    assert [column[0] for column in cursor.description] == ["id", "name"]
    assert await cursor.fetchall() == [(1, "a"), (2, "b")]
    await cursor.close()
    assert connection._asked == asked


async def test_returning_writes_and_answers(connection: OneTripConnection) -> None:
    """A statement that changes rows and returns them has done so when its rows are here."""
    cursor = await connection.cursor()
    await cursor.execute("INSERT INTO things (name) VALUES (?) RETURNING id", ("a",))
    assert await cursor.fetchall() == [(1,)]
    await cursor.execute("UPDATE things SET name = 'b'")
    assert (cursor.rowcount, await cursor.fetchall()) == (1, [])


async def test_an_error_is_the_drivers_own(connection: OneTripConnection) -> None:
    """SQLAlchemy knows the driver's classes, and the connection can be used afterwards."""
    cursor = await connection.cursor()
    with pytest.raises(sqlite3.OperationalError):
        await cursor.execute("SELECT * FROM nothing")
    await cursor.execute("SELECT 1")
    assert await cursor.fetchall() == [(1,)]


async def test_a_rollback_after_a_read_costs_nothing(connection: OneTripConnection) -> None:
    """Nothing was begun, so nothing is asked of the thread."""
    cursor = await connection.cursor()
    await cursor.execute("SELECT 1")
    asked = connection._asked
    await connection.rollback()
    assert connection._asked == asked


async def test_what_was_begun_is_rolled_back(connection: OneTripConnection) -> None:
    """A change that nobody committed is gone."""
    cursor = await connection.cursor()
    await cursor.execute("BEGIN IMMEDIATE")
    await cursor.execute("INSERT INTO things (name) VALUES ('a')")
    await connection.rollback()
    await cursor.execute("SELECT count(*) FROM things")
    assert await cursor.fetchall() == [(0,)]


async def test_a_begin_whose_caller_left_is_rolled_back_too(connection: OneTripConnection, tmp_path: Path) -> None:
    """A cancelled call still runs in the thread: were it overlooked, the file would stay locked for ever."""
    cursor = await connection.cursor()
    other = sqlite3.connect(tmp_path / "one.db", timeout=5, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    beginning = asyncio.create_task(cursor.execute("BEGIN IMMEDIATE"))
    await asyncio.sleep(0.05)  # the thread waits for the lock
    beginning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await beginning
    rolling_back = asyncio.create_task(connection.rollback())
    await asyncio.sleep(0)
    other.execute("COMMIT")
    await asyncio.wait_for(rolling_back, 5)
    other.execute("BEGIN IMMEDIATE")
    other.execute("COMMIT")
    other.close()
