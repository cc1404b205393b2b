"""Migrations make the tables that the code expects."""

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, select, text

from database.engine import open_engine, reading, writing
from database.migrations import is_current, migrate, upgrade
from database.tables import METADATA, plans
from support.database_racers import migrated, race
from support.databases import Database


def differences(connection: Connection) -> list[object]:
    """What Alembic would change in the database to make it as the tables are."""
    return list(compare_metadata(MigrationContext.configure(connection), METADATA))


async def test_migrations_and_tables_agree(database: Database) -> None:
    """Alembic finds no difference between what the migrations made and the tables of the code."""
    async with reading(database.engine) as connection:
        assert await connection.run_sync(differences) == []


OWN_RECORD = {
    "sqlite": ("SELECT name, sql FROM sqlite_master WHERE tbl_name <> 'alembic_version'",),
    "postgresql": (
        (
            "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE connamespace = 'public'::regnamespace"
        ),
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
        (
            "SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default"
            " FROM information_schema.columns WHERE table_schema = 'public'"
        ),
    ),
}
"""How each kind tells what tables it has."""


async def own_record(url: str, *, migrations: bool) -> set[tuple[object, ...]]:
    """What an empty database says of its tables after the migrations made them, or else the code's own tables did."""
    engine = open_engine(url)
    async with writing(engine) as connection:
        if not migrations:
            await connection.run_sync(METADATA.create_all)
    if migrations:
        await upgrade(engine)
    async with reading(engine) as connection:
        queries = OWN_RECORD[engine.dialect.name]
        rows = [tuple(map(_one_line, row)) for query in queries for row in await connection.execute(text(query))]
        if not migrations:
            await connection.run_sync(METADATA.drop_all)
    await engine.dispose()
    return {row for row in rows if not any("alembic" in str(value) for value in row)}


def _one_line(value: object) -> object:
    """SQLite keeps a statement as it was written, and adds a column without a line break."""
    return " ".join(value.split()) if isinstance(value, str) else value


async def test_the_agreement_covers_every_constraint(empty_url: str) -> None:
    """Piece by piece, the database's own record is the same; Alembic's comparison leaves out checks."""
    created = await own_record(empty_url, migrations=False)
    assert len(created) > 10
    assert await own_record(empty_url, migrations=True) == created


async def test_a_database_is_current_once_it_is_migrated(empty_url: str) -> None:
    """An empty database is not current, nor one that is behind; a migrated one is."""
    engine = open_engine(empty_url)
    assert not await is_current(engine)
    await migrate(empty_url)
    assert await is_current(engine)
    async with writing(engine) as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    assert not await is_current(engine)
    await engine.dispose()


async def test_the_version_before_goes_on_on_a_newer_database(empty_url: str) -> None:
    """A revision that this code does not know is a later version's: it serves, and migrates nothing."""
    await migrate(empty_url)
    engine = open_engine(empty_url)
    async with writing(engine) as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert await is_current(engine)
    await migrate(empty_url)
    async with reading(engine) as connection:
        found = await connection.execute(text("SELECT version_num FROM alembic_version"))
        assert found.scalar_one() == "9999"
    await engine.dispose()


async def test_the_plans_are_there(database: Database) -> None:
    """The migrations seed those of the contract with the figures that it gives, and one of an own installation."""
    shown = ("key", "max_concurrent_sessions", "avatar_allowance", "paid")
    rows = await database.rows(select(*[plans.c[name] for name in shown]))
    assert {tuple(row.values()) for row in rows} == {
        ("free", 1, 0, False),
        ("explorer", 5, 20, True),
        ("growth", 10, 60, True),
        ("pro", 20, 180, True),
        ("enterprise", 1_000_000, None, True),
        ("self_hosted", 1_000_000, None, True),
    }
    (own,) = await database.rows(select(plans).where(plans.c.key == "self_hosted"))
    given = {"key", "name", "max_concurrent_sessions", "paid"}
    assert {name for name, value in own.items() if value is not None} == given


async def test_processes_that_migrate_at_once_do_not_meet(empty_url: str) -> None:
    """First starts of two processes at one moment all find a finished database, and a repeat changes nothing."""
    assert await race(empty_url, migrated, [[None, None], [None, None]]) == {"migrated": 4}
    await migrate(empty_url)
    engine = open_engine(empty_url)
    assert await is_current(engine)
    async with reading(engine) as connection:
        assert len((await connection.execute(select(plans))).all()) == 6
    await engine.dispose()
