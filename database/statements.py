"""Statements that dialects spell differently but mean alike."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

_INSERTS: Mapping[str, Callable[[Table], sqlite.Insert | postgresql.Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}


async def insert_if_absent(
    connection: AsyncConnection, table: Table, values: Mapping[str, Any] | Sequence[Mapping[str, Any]]
) -> bool:
    """Insert rows of which some may be there already, those untouched; was any new?"""
    statement = _INSERTS[connection.dialect.name](table).values(values).on_conflict_do_nothing()
    # Not by rowcount: one of the PostgreSQL drivers reports none for an insert.
    return (await connection.execute(statement.returning(*table.primary_key))).first() is not None
