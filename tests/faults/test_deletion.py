"""The deletion of an account whose worker is killed in the middle of it, with objects in a folder and on S3."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import select
from temporalio.client import Client
from ulid import ULID

from adapters.object_store import ObjectStore
from cli.operators.following import Order, begun, followed
from contracts.erasing import DeleteAccount
from database.engine import reading
from database.erasing import Erasing
from database.tables import METADATA, avatars, sessions
from domain.avatars import pictures_of
from runtime.settings import Settings
from support.api_system import settings_in
from support.databases import Database, an_avatar
from support.s3_server import S3Server, s3_address, s3_server
from support.sessions_process import sessions_worker, without_reconciler
from workflows.delete_account import DeleteAccountWorkflow

__all__ = ["s3_address", "s3_server"]

NUMBER = 100
"""Avatars of the account: they go 20 at a time, so that there is a middle to be killed in."""

PROFILES = ("4x3", "3x4", "1x1", "preview")
SESSIONS = 20
"""Of each account: the deleted one's are ended first, and those of the other stay."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A database and a store, with an account that has much and another one."""

    database: Database
    settings: Settings
    store: ObjectStore
    account_id: str
    other: frozenset[str]
    """Keys that are to stay."""
    own: frozenset[str]
    """Keys that are to go."""

    async def avatars_left(self) -> int:
        """How many of all accounts."""
        return len(await self.database.rows(select(avatars.c.avatar_id).where(avatars.c.account_id.is_not(None))))

    async def rows_that_name_it(self) -> Sequence[tuple[str, object]]:
        """Rows in which the account's id stands."""
        async with reading(self.database.engine) as connection:
            found = [
                (table.name, row) for table in METADATA.sorted_tables for row in await connection.execute(select(table))
            ]
        return [(table, row) for table, row in found if self.account_id in repr(row)]


@pytest.fixture(params=["a folder", "S3"])
def storage(request: pytest.FixtureRequest) -> dict[str, str]:
    """How an empty object store is reached, as settings."""
    if request.param == "a folder":
        return {}
    server: S3Server = request.getfixturevalue("s3_server")
    return server.settings(request.getfixturevalue("s3_address"))


@pytest.fixture
async def scene(database: Database, storage: dict[str, str], tmp_path: Path) -> AsyncIterator[Scene]:
    """Everything stands, and nothing works for the accounts."""
    settings = settings_in(tmp_path, database_url=database.url, **storage)
    async with opened(settings) as store:
        account_id, other = await database.account(), await database.account()
        own = await filled(database, store, account_id, NUMBER)
        yield Scene(
            database=database,
            settings=settings,
            store=store,
            account_id=account_id,
            own=own,
            other=await filled(database, store, other, 2),
        )


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[ObjectStore]:
    """The store that the settings name."""
    store = ObjectStore(settings.storage_address, **settings.storage_access)
    try:
        yield store
    finally:
        await store.aclose()


async def filled(database: Database, store: ObjectStore, account_id: str, number: int) -> frozenset[str]:
    """Give an account avatars with their pictures, and sessions; the pictures' keys."""
    keys = set[str]()
    for _ in range(SESSIONS):
        await database.admit(account_id, await database.avatar(), within=600)
    for _ in range(number):
        avatar = an_avatar(f"avat_{ULID()}", account_id)
        await database.avatars.register(avatar, sha256(avatar.avatar_id.encode()).hexdigest())
        for profile in PROFILES:
            key = f"{pictures_of(avatar.avatar_id)}/{profile}.jpg"
            await store.put(key, key.encode())
            keys.add(key)
    return frozenset(keys)


async def test_a_deletion_goes_on_after_kill_9(scene: Scene, temporal_versioned: Client) -> None:
    """Killed with a part of the pictures gone, another worker deletes the rest; the receipt names each object once."""
    receipt_id = f"rcpt_{ULID()}"
    command = DeleteAccount(account_id=scene.account_id, receipt_id=receipt_id)
    before = await scene.avatars_left()
    async with sessions_worker(scene.settings, temporal_versioned) as worker:
        await without_reconciler(temporal_versioned)
        name = await begun(temporal_versioned, Order(run=DeleteAccountWorkflow.run, command=command))
        async with asyncio.timeout(60):
            while await scene.avatars_left() == before:  # noqa: ASYNC110 - the database tells nobody
                await asyncio.sleep(0.002)
        worker.kill()
        await worker.wait()
        assert 2 < await scene.avatars_left() < before
    async with sessions_worker(scene.settings, temporal_versioned), asyncio.timeout(120):
        outcome = await followed(temporal_versioned, name, lambda _: None)
    assert outcome.receipt_id == receipt_id
    assert await scene.avatars_left() == 2
    assert await scene.rows_that_name_it() == []
    assert set(await scene.store.keys_below("avatars")) == scene.other
    erasing = Erasing(scene.database.engine)
    digests, _ = await erasing.proof(receipt_id)
    assert digests == sorted(sha256(key.encode()).hexdigest() for key in scene.own)
    counts = (await erasing.found(receipt_id)).counts
    assert (counts["avatars"], counts["sessions"], counts["accounts"]) == (NUMBER, SESSIONS, 1)
    assert len(await scene.database.rows(select(sessions.c.session_id))) == SESSIONS
