"""Who is asking: the account behind `x-api-key`. Only hashes of keys are stored and compared."""

import hashlib
from typing import Any

from litestar import Request
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler
from litestar.openapi.spec import Components, SecurityScheme

from api.key_use import KeyUse
from api.rate_limit import LIMITED_PATHS, Connection, RateLimits
from database.account_admin import KEY_ID
from database.accounts import AccountKey, Accounts
from domain.failures import FailureCode, Refused, Unavailable
from domain.ids import is_session_id
from telemetry.about import note

AccountId = str

HEADER = "x-api-key"
OPEN = "open"
"""The option of a route below `/v1` that asks for no key."""
ACCOUNT = "greenroom_account"
"""Where in the scope's state stands whose request it is."""
KEY = "greenroom_key"
"""And by which of its keys, by the id that operators know it by."""

SECURITY_COMPONENTS = Components(
    security_schemes={"apiKey": SecurityScheme(type="apiKey", name=HEADER, security_scheme_in="header")}
)
SECURED = [{"apiKey": list[str]()}]


def key_hash(key: str) -> str:
    """What is stored of a key: its SHA-256. Keys are 32 random bytes, so a slow hash would gain nothing."""
    return hashlib.sha256(key.encode()).hexdigest()


async def admit(connection: Connection, handler: BaseRouteHandler) -> None:
    """Let a request of the API pass: its key is known, and has not asked too often.

    It goes before anything of the request is read. Requests without a key that opens something are counted by the
    address that they come from, so that nobody can try keys without an end.
    """
    if is_session_id(asked := str(connection.path_params.get("session_id", ""))):
        note(session_id=asked)
    if not connection.scope["path"].startswith(LIMITED_PATHS) or handler.opt.get(OPEN):
        return
    key = connection.headers.get(HEADER, "")
    limits: RateLimits = connection.app.state.rate_limits
    try:
        found = await _account_of(connection.app.state.accounts, key)
    except Unavailable:
        raise
    except Refused:
        await limits.count(connection, f"address:{connection.client.host if connection.client else ''}")
        raise
    await limits.count(connection, f"key:{key_hash(key)[:32]}", found.requests_per_minute)
    connection.scope["state"][ACCOUNT] = found.account_id
    connection.scope["state"][KEY] = key_hash(key)[:KEY_ID]
    note(account_id=found.account_id)
    uses: KeyUse = connection.app.state.key_use
    uses.note(key_hash(key))


def key_of(request: Request[Any, Any, State]) -> str:
    """The id of the request's key."""
    key_id: str = request.scope["state"][KEY]
    return key_id


async def provide_account(request: Request[Any, Any, State]) -> AccountId:
    """The account of the request's key, which `admit` has found."""
    account_id: AccountId = request.scope["state"][ACCOUNT]
    return account_id


async def _account_of(accounts: Accounts, key: str) -> AccountKey:
    """What a key opens, or 401."""
    if not key:
        raise Refused(FailureCode.API_KEY_REQUIRED, "API key required")
    found = await accounts.by_key_hash(key_hash(key))
    if found is None:
        raise Refused(FailureCode.INVALID_API_KEY, "Invalid API key")
    if found.revoked:
        raise Refused(FailureCode.API_KEY_DEACTIVATED, "API key is deactivated")
    return found
