"""The database that the settings name, for a command; it opens nothing before it is asked to."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine


@asynccontextmanager
async def engine_of(environ: Mapping[str, str]) -> "AsyncIterator[AsyncEngine]":
    """An engine, disposed of afterwards."""
    from database.engine import open_engine  # noqa: PLC0415 - the database takes .5 s to import
    from runtime.settings import load_settings  # noqa: PLC0415

    engine = open_engine(load_settings(environ).database_address)
    try:
        yield engine
    finally:
        await engine.dispose()
