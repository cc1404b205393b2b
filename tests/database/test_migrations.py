"""Migrations make the tables that the code expects."""

import asyncio
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, select, text

from database.engine import open_engine, reading, writing
from database.migrations import is_current, migrate, upgrade
from database.tables import METADATA, plans
from support.databases import Database, sqlite_url


def differences(connection: Connection) -> list[object]:
    """What Alembic would change in the database to make it as the tables are."""
    return list(compare_metadata(MigrationContext.configure(connection), METADATA))


async def test_migrations_and_tables_agree(database: Database) -> None:
    """Alembic finds no difference between what the migrations made and the tables of the code."""
    async with reading(database.engine) as connection:
        assert await connection.run_sync(differences) == []


async def test_the_agreement_covers_every_constraint(tmp_path: Path) -> None:
    """Statement by statement, SQLite's own record is the same; Alembic's comparison leaves out checks."""
    made = {}
    for name in ("migrated", "created"):
        engine = open_engine(sqlite_url(tmp_path / f"{name}.db"))
        if name == "migrated":
            await upgrade(engine)
        else:
            async with writing(engine) as connection:
                await connection.run_sync(METADATA.create_all)
        async with reading(engine) as connection:
            rows = await connection.execute(text("SELECT name, sql FROM sqlite_master WHERE name <> 'alembic_version'"))
            made[name] = {row.name: row.sql for row in rows if "alembic" not in row.name}
        await engine.dispose()
    assert made["migrated"] == made["created"]


async def test_a_database_is_current_once_it_is_migrated(tmp_path: Path) -> None:
    """An empty database is not current, a migrated one is, one of a revision unknown to the code is not."""
    url = sqlite_url(tmp_path / "g.db")
    engine = open_engine(url)
    assert not await is_current(engine)
    await migrate(url)
    assert await is_current(engine)
    async with writing(engine) as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = 'ffff'"))
    assert not await is_current(engine)
    await engine.dispose()


async def test_the_plan_of_a_self_hosted_installation_is_there(database: Database) -> None:
    """The migration seeds one plan: no limit but numbers that clients can show."""
    rows = await database.rows(select(plans))
    expected = {"key": "self_hosted", "name": "Self-hosted"}
    assert [dict(row) for row in rows] == [
        expected | {"max_session_seconds": None, "max_concurrent_sessions": 1_000_000}
    ]


async def test_processes_that_migrate_at_once_do_not_meet(tmp_path: Path) -> None:
    """Several first starts at the same moment all find a finished database, and a repeat changes nothing."""
    url = sqlite_url(tmp_path / "g.db")
    await asyncio.gather(*(migrate(url) for _ in range(4)))
    await migrate(url)
    engine = open_engine(url)
    async with reading(engine) as connection:
        assert len((await connection.execute(select(plans))).all()) == 1
    await engine.dispose()
