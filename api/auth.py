"""Who is asking: the account behind `x-api-key`. Only hashes of keys are stored and compared."""

import hashlib
from typing import Annotated

from litestar.datastructures import State
from litestar.openapi.spec import Components, SecurityScheme
from litestar.params import HeaderParameter

from database.accounts import Accounts
from domain.failures import FailureCode, Refused

AccountId = str

HEADER = "x-api-key"

SECURITY_COMPONENTS = Components(
    security_schemes={"apiKey": SecurityScheme(type="apiKey", name=HEADER, security_scheme_in="header")}
)
SECURED = [{"apiKey": list[str]()}]


def key_hash(key: str) -> str:
    """What is stored of a key: its SHA-256. Keys are 32 random bytes, so a slow hash would gain nothing."""
    return hashlib.sha256(key.encode()).hexdigest()


async def provide_account(
    state: State, api_key: Annotated[str | None, HeaderParameter(name=HEADER, include_in_schema=False)] = None
) -> AccountId:
    """The account of the request's key, or 401."""
    if not api_key:
        raise Refused(FailureCode.API_KEY_REQUIRED, "API key required")
    accounts: Accounts = state.accounts
    found = await accounts.by_key_hash(key_hash(api_key))
    if found is None:
        raise Refused(FailureCode.INVALID_API_KEY, "Invalid API key")
    if found.revoked:
        raise Refused(FailureCode.API_KEY_DEACTIVATED, "API key is deactivated")
    return found.account_id
