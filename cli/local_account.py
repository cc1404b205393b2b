"""The account of the person at this machine: its database is made and its key let in; it makes no other account."""

from runtime.settings import Settings

ACCOUNT_ID = "local"


async def prepare_local_account(settings: Settings, api_key: str) -> None:
    """Bring the database up to date and let the key open the local account; safe to repeat."""
    # The database and its libraries take .5 s to import: only who starts a system pays.
    from api.auth import key_hash  # noqa: PLC0415
    from database.accounts import Accounts  # noqa: PLC0415
    from database.engine import open_engine  # noqa: PLC0415
    from database.migrations import upgrade  # noqa: PLC0415

    engine = open_engine(settings.database_address)
    try:
        await upgrade(engine)
        accounts = Accounts(engine)
        await accounts.create(ACCOUNT_ID, "This machine")
        await accounts.add_key(ACCOUNT_ID, key_hash(api_key), "greenroom dev")
    finally:
        await engine.dispose()
