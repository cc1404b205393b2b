"""What `greenroom init` makes in the stores: the bucket, the tables, the first account's key, the built-in avatars."""

from collections.abc import Mapping
from contextlib import suppress

from adapters.object_backend import BucketMissing
from api.auth import key_hash
from cli.doctor import FaultError
from cli.init_plan import Change, Part
from cli.library.banks import provide_all
from cli.library.builtin import BUILTIN, is_storage_named, provide_builtins
from cli.local_account import ACCOUNT_ID, prepare_local_account
from cli.store_faults import is_made, opened_database, opened_store
from database.accounts import Accounts
from database.avatars import Avatars
from database.migrations import is_current, upgrade
from domain.failures import Unavailable
from runtime.cache import cache_folder
from runtime.settings import Settings


def store_parts(settings: Settings, environ: Mapping[str, str]) -> list[Part]:
    """The parts, in order."""
    stores = Stores(settings, environ)
    return [
        Part(name="bucket", look=stores.bucket),
        Part(name="database", look=stores.database),
        Part(name="account", look=stores.account, needs="database"),
        Part(name="avatars", look=stores.avatars, needs="database"),
    ]


class Stores:
    """An installation's object store and database, and what has to be made in them."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ

    async def bucket(self) -> list[Change]:
        """The bucket; a folder makes itself."""
        try:
            async with opened_store(self._settings) as store:
                await store.look()
        except BucketMissing:
            name = self._settings.storage_url.removeprefix("s3://").partition("/")[0]
            return [Change(text=f"make the bucket {name}", make=self._make_bucket)]
        return []

    async def database(self) -> list[Change]:
        """The tables of this version."""
        if await self._has_tables():
            return []
        return [Change(text="make or change the tables for this version", make=self._migrate)]

    async def account(self) -> list[Change]:
        """The account `local`, where a first key is given."""
        key = self._settings.first_api_key
        if not key:
            return []
        if await self._has_tables():
            async with opened_database(self._settings) as engine:
                found = await Accounts(engine).by_key_hash(key_hash(key))
            if found is not None:
                return []
        return [Change(text=f"let GREENROOM_FIRST_API_KEY open the account {ACCOUNT_ID}", make=self._let_in)]

    async def avatars(self) -> list[Change]:
        """The built-in avatars that were never there before, where it was said in which store."""
        if not is_storage_named(self._settings):
            return []
        known: frozenset[str] | set[str] = set()
        if await self._has_tables():
            async with opened_database(self._settings) as engine:
                known = set(await Avatars(engine).known(BUILTIN))
        missing = BUILTIN.keys() - known
        return [Change(text=f"add built-in avatars: {len(missing)}", make=self._add_avatars)] if missing else []

    async def _make_bucket(self) -> None:
        async with opened_store(self._settings) as store:
            await store.make()
            await store.check()

    async def _migrate(self) -> None:
        async with opened_database(self._settings) as engine:
            await upgrade(engine)

    async def _let_in(self) -> None:
        await prepare_local_account(self._settings, self._settings.first_api_key)

    async def _add_avatars(self) -> None:
        said = await provide_builtins(self._settings, cache_folder(self._environ))
        if "left out" in said:
            raise FaultError(said)
        with suppress(Unavailable):  # their sessions prepare them, too
            await provide_all(self._settings, self._environ, lambda _, __: None)

    async def _has_tables(self) -> bool:
        """Is the database of this version? Nothing is made by looking."""
        if not await is_made(self._settings):
            return False
        async with opened_database(self._settings) as engine:
            return await is_current(engine)
