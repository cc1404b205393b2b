"""The steps that make and change the tables, run from Python. Nothing else creates a table."""

from functools import cache

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from database.engine import open_engine, reading, writing

_ONE_AT_A_TIME = 0x677265656E
"""PostgreSQL's advisory lock that a migration holds; any number that others on the same database do not use."""


async def migrate(database_url: str) -> None:
    """Bring the database at a SQLAlchemy address up to date."""
    engine = open_engine(database_url)
    try:
        await upgrade(engine)
    finally:
        await engine.dispose()


async def upgrade(engine: AsyncEngine) -> None:
    """Bring the database up to date, all in one transaction; one that is newer than this code stays."""
    async with writing(engine, within_s=None) as connection:
        await connection.run_sync(_upgrade)


async def is_current(engine: AsyncEngine) -> bool:
    """Has the database every migration that this code knows? It may have one more: the version before goes on on it."""
    async with reading(engine) as connection:
        heads = await connection.run_sync(_heads)
    return heads == _newest() or _is_newer(heads)


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        _stand_in_line(connection)
    if _is_newer(_heads(connection)):
        return
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _stand_in_line(connection: Connection) -> None:
    """One process migrates, the others wait for it; SQLite's write lock does the same.

    A change of a table may take long, but waits 5 s at most for others to leave the table: everybody else waits
    behind it meanwhile.
    """
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(select(func.pg_advisory_xact_lock(_ONE_AT_A_TIME)))
    connection.execute(text("SET LOCAL lock_timeout = '5s'"))


def _heads(connection: Connection) -> frozenset[str]:
    return frozenset(MigrationContext.configure(connection).get_current_heads())


@cache
def _newest() -> frozenset[str]:
    return frozenset(ScriptDirectory.from_config(_config()).get_heads())


def _is_newer(heads: frozenset[str]) -> bool:
    """Only a later version can have left a revision that this code does not know."""
    return not heads <= {one.revision for one in ScriptDirectory.from_config(_config()).walk_revisions()}


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "database:migrations")
    return config
