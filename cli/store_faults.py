"""The database and the object store, for commands that say in words what is wrong with them and what helps."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.object_backend import BucketMissing, StoreRefused, StoreUnreachable
from adapters.object_store import ObjectStore
from cli.doctor import FaultError
from cli.doctor_temporal import INIT
from database.engine import open_engine
from domain.failures import Refused, Unavailable
from runtime.settings import Settings

STORE_HELP: dict[type[Unavailable], str] = {
    StoreUnreachable: "check GREENROOM_STORAGE_ENDPOINT and that the server runs",
    StoreRefused: (
        "check GREENROOM_STORAGE_ACCESS_KEY, GREENROOM_STORAGE_SECRET_KEY, GREENROOM_STORAGE_REGION and what the "
        "bucket's policy allows"
    ),
    BucketMissing: f"{INIT}, or check GREENROOM_STORAGE_URL",
}
STORE_HELP_ELSE = "check GREENROOM_STORAGE_URL, and for S3 GREENROOM_STORAGE_ENDPOINT and GREENROOM_STORAGE_REGION"
DATABASE_HELP = "check GREENROOM_DATABASE_URL, that it runs, and that the database is there"


async def is_made(settings: Settings) -> bool:
    """Is there a database to ask? A SQLite file would be made by opening it; of a server nobody knows yet."""
    kind, _, file = settings.database_address.partition(":///")
    return not kind.startswith("sqlite") or await asyncio.to_thread(Path(file).exists)


@asynccontextmanager
async def opened_database(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """An engine; that the database refuses or does not answer is a FaultError."""
    engine = open_engine(settings.database_address)
    try:
        yield engine
    except Refused as trouble:
        raise FaultError(f"it does not answer ({trouble}): {DATABASE_HELP}") from None
    finally:
        await engine.dispose()


@asynccontextmanager
async def opened_store(settings: Settings) -> AsyncIterator[ObjectStore]:
    """The object store; whatever it fails of is a FaultError, but a missing bucket is said as such."""
    store = ObjectStore(settings.storage_address, **settings.storage_access)
    try:
        yield store
    except BucketMissing:
        raise
    except Unavailable as trouble:
        raise store_fault(trouble) from None
    finally:
        await store.aclose()


def store_fault(trouble: Unavailable) -> FaultError:
    """What is wrong with the store, and what helps."""
    return FaultError(f"{trouble}: {STORE_HELP.get(type(trouble), STORE_HELP_ELSE)}")
