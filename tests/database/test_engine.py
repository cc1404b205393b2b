"""Transactions on the database."""

import asyncio
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import IntegrityError

from database.engine import _DRIVERS, AddressError, open_engine, reading, writing
from database.migrations import is_current
from database.tables import accounts, plans
from domain.failures import FailureCode, Refused
from runtime.settings import DATABASES
from support.databases import Database, sqlite_url

SELF_HOSTED = plans.c.key == "self_hosted"


async def test_sqlite_is_set_up_on_every_connection(tmp_path: Path) -> None:
    """Each SQLite connection has WAL, foreign keys and a busy timeout of 5 s; a missing folder is made."""
    engine = open_engine(sqlite_url(tmp_path / "new" / "folder" / "g.db"))
    async with reading(engine) as first, reading(engine) as second:
        for connection in (first, second):
            found = [await connection.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "foreign_keys")]
            assert found == ["wal", 1]
            assert await connection.scalar(text("PRAGMA busy_timeout")) == 5000
    await engine.dispose()


async def test_a_new_file_that_another_process_makes_ready_is_waited_for(tmp_path: Path) -> None:
    """SQLite itself fails at once where a file is to get its WAL while somebody writes: first starts may meet."""
    with closing(sqlite3.connect(tmp_path / "g.db", isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(0.2, lambda: other.execute("COMMIT"))
        timer.start()
        engine = open_engine(sqlite_url(tmp_path / "g.db"))
        async with reading(engine) as connection:
            assert await connection.scalar(text("PRAGMA journal_mode")) == "wal"
        await engine.dispose()
        timer.join()


async def test_an_error_undoes_the_transaction(database: Database) -> None:
    """Nothing of a transaction that raises is kept."""

    async def change_and_fail() -> None:
        async with writing(database.engine) as connection:
            await connection.execute(update(plans).values(name="Changed"))
            raise LookupError

    with pytest.raises(LookupError):
        await change_and_fail()
    assert [row["name"] for row in await database.rows(select(plans).where(SELF_HOSTED))] == ["Self-hosted"]


async def test_rows_must_refer_to_what_exists(database: Database) -> None:
    """A row that refers to nothing is an error of ours and stays one."""
    row = {"account_id": "acct_1", "name": "", "plan_key": "no such plan", "created_at": None}
    with pytest.raises(IntegrityError):
        await database.run(insert(accounts).values(row))


async def test_twenty_writers_that_read_first_all_get_through(database: Database) -> None:
    """Writers that read before they write, over two engines, wait for each other and lose no update."""
    other = open_engine(database.url)

    async def add_one(number: int) -> None:
        async with writing((database.engine, other)[number % 2]) as connection:
            count = await connection.scalar(
                select(plans.c.max_concurrent_sessions).where(SELF_HOSTED).with_for_update()
            )
            await asyncio.sleep(0)
            await connection.execute(update(plans).values(max_concurrent_sessions=(count or 0) + 1))

    await asyncio.gather(*(add_one(number) for number in range(20)))
    await other.dispose()
    assert [row["max_concurrent_sessions"] for row in await database.rows(select(plans).where(SELF_HOSTED))] == [
        1_000_020
    ]


async def test_a_reader_does_not_wait_for_a_writer(database: Database) -> None:
    """While a transaction is open, others read what was committed before."""
    async with writing(database.engine) as connection:
        await connection.execute(update(plans).values(name="Changed"))
        assert [row["name"] for row in await database.rows(select(plans).where(SELF_HOSTED))] == ["Self-hosted"]
    assert [row["name"] for row in await database.rows(select(plans).where(SELF_HOSTED))] == ["Changed"]


async def test_a_cancelled_writer_leaves_nothing_locked(database: Database) -> None:
    """A task that is cancelled inside its transaction has it undone, and the next writer goes ahead."""
    inside = asyncio.Event()

    async def stuck() -> None:
        async with writing(database.engine) as connection:
            await connection.execute(update(plans).values(name="Cancelled"))
            inside.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(stuck())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(2):
        await database.run(update(plans).values(max_session_seconds=7))
    (row,) = await database.rows(select(plans).where(SELF_HOSTED))
    assert (row["name"], row["max_session_seconds"]) == ("Self-hosted", 7)


async def test_a_database_that_cannot_answer_is_a_retryable_code(tmp_path: Path) -> None:
    """A file that is no database reads as TEMPORARILY_UNAVAILABLE, like a server that is away."""
    file = tmp_path / "g.db"
    file.write_bytes(b"this is not a database" * 100)
    engine = open_engine(sqlite_url(file))
    with pytest.raises(Refused) as refusal:
        await is_current(engine)
    await engine.dispose()
    assert refusal.value.code == FailureCode.TEMPORARILY_UNAVAILABLE


@pytest.mark.parametrize("url", ["postgresql://u:one@two:three@h/d", "postgresql+psycopg://u:three@h/d", "three"])
def test_an_address_that_cannot_be_used_is_not_quoted(url: str) -> None:
    """What looks like a port may be the rest of a password."""
    with pytest.raises(AddressError) as error:
        open_engine(url)
    assert "three" not in str(error.value)
    assert error.value.__suppress_context__ or error.value.__context__ is None


def test_settings_and_engine_know_the_same_kinds() -> None:
    """What the settings let through can be opened."""
    assert set(DATABASES) == set(_DRIVERS)
