"""Moments in the database."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import StatementError

from database.instants import db_now, from_now
from database.tables import sessions
from support.databases import Database


async def test_now_is_the_databases_and_aware(database: Database) -> None:
    """The database's time comes out as an aware datetime in UTC, near this machine's."""
    (row,) = await database.rows(select(db_now().label("now"), from_now(-90.5).label("then")))
    assert row["now"].tzinfo is UTC
    assert abs(row["now"] - datetime.now(UTC)) < timedelta(seconds=2)
    assert abs(row["now"] - row["then"] - timedelta(seconds=90.5)) < timedelta(milliseconds=50)


async def test_a_moment_survives_to_the_millisecond(database: Database) -> None:
    """A moment of another time zone comes back as the same moment, whole milliseconds kept."""
    (session_id,) = await database.admitted()
    moment = datetime(2031, 5, 6, 7, 8, 9, 123_999, tzinfo=timezone(timedelta(hours=-7)))
    await database.run(update(sessions).values(created_at=moment))
    session = await database.sessions.get(session_id)
    assert session is not None
    assert session.created_at == moment.replace(microsecond=123_000)


async def test_a_naive_moment_is_refused(database: Database) -> None:
    """A datetime without a zone never reaches a column."""
    with pytest.raises(StatementError, match="naive"):
        await database.run(update(sessions).values(created_at=datetime(2031, 1, 1)))  # noqa: DTZ001


def test_postgresql_asks_the_clock_and_not_the_transaction() -> None:
    """On PostgreSQL `now` moves inside a transaction, so that a wait for a lock counts."""
    assert "clock_timestamp()" in str(select(db_now()).compile(dialect=postgresql.dialect()))
