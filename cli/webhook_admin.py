"""What `greenroom webhooks` does: rows in the database, and secrets that are shown once. It sends nothing itself."""

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from ulid import ULID

from adapters.sealing import Sealer
from cli.library.whose import account_called, only_account
from database.accounts import Accounts
from database.engine import open_engine
from database.migrations import is_current
from database.outbox import DeliveryState, Outbox
from database.webhook_endpoints import Endpoint, WebhookEndpoints
from domain.failures import FailureCode, Refused, Unavailable
from domain.webhooks import SECRET_FIELD, check_webhook_url
from runtime.settings import Settings, load_settings, parse_keys

SECRET_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class NewSecret:
    """An endpoint's secret, which nobody can be shown again."""

    endpoint_id: str
    secret: str


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What the commands work with."""

    settings: Settings
    accounts: Accounts
    endpoints: WebhookEndpoints
    outbox: Outbox

    def sealed(self, endpoint_id: str) -> tuple[str, str]:
        """A new secret, open and sealed; SettingsError without the keys."""
        secret = f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"
        sealer = Sealer(parse_keys(self.settings.webhook_keys, "GREENROOM_WEBHOOK_KEYS"))
        return secret, sealer.seal(secret, session_id=endpoint_id, field=SECRET_FIELD)


@asynccontextmanager
async def opened_desk(environ: Mapping[str, str]) -> AsyncIterator[Desk]:
    """The stores; Unavailable where the database is not of this version."""
    settings = load_settings(environ)
    engine = open_engine(settings.database_address)
    try:
        if not await is_current(engine):
            raise Unavailable("the database's tables are not those of this version; run `greenroom migrate`")
        yield Desk(
            settings=settings,
            accounts=Accounts(engine),
            endpoints=WebhookEndpoints(engine),
            outbox=Outbox(engine),
        )
    finally:
        await engine.dispose()


async def add(environ: Mapping[str, str], url: str, account: str | None, events: Sequence[str]) -> NewSecret:
    """Tell an address from now on."""
    async with opened_desk(environ) as desk:
        owner = await account_called(desk.accounts, account) if account else await only_account(desk.accounts)
        check_webhook_url(url, desk.settings.allowed_webhook_hosts)
        endpoint_id = f"whep_{ULID()}"
        secret, sealed = desk.sealed(endpoint_id)
        await desk.endpoints.add(
            endpoint_id=endpoint_id, account_id=owner, url=url.strip(), events=events, sealed_secret=sealed
        )
    return NewSecret(endpoint_id=endpoint_id, secret=secret)


async def listed(environ: Mapping[str, str], account: str | None) -> list[Endpoint]:
    """The endpoints of all accounts, or of one."""
    async with opened_desk(environ) as desk:
        owner = await account_called(desk.accounts, account) if account else None
        return await desk.endpoints.every(owner)


async def rotate(environ: Mapping[str, str], endpoint_id: str, both_for: timedelta) -> NewSecret:
    """Sign with a new secret, and for a while with the one before too."""
    async with opened_desk(environ) as desk:
        secret, sealed = desk.sealed(endpoint_id)
        await desk.endpoints.rotate(endpoint_id, sealed, both_for)
    return NewSecret(endpoint_id=endpoint_id, secret=secret)


async def remove(environ: Mapping[str, str], endpoint_id: str) -> None:
    """Tell an endpoint nothing more."""
    async with opened_desk(environ) as desk:
        await desk.endpoints.remove(endpoint_id)


async def redeliver(
    environ: Mapping[str, str], event_id: str | None, since: timedelta | None, endpoint_id: str | None
) -> int:
    """Have events delivered again; how many deliveries that makes. NOT_FOUND where a named event has none."""
    async with opened_desk(environ) as desk:
        if endpoint_id is not None:
            await desk.endpoints.get(endpoint_id)
        number = await desk.outbox.again(event_id=event_id, since=since, endpoint_id=endpoint_id)
    if event_id is not None and number == 0:
        message = "there is no such event, or it is still being delivered, or its endpoint is gone"
        raise Refused(FailureCode.NOT_FOUND, message)
    return number


async def test(environ: Mapping[str, str], endpoint_id: str, within: timedelta) -> tuple[bool, str]:
    """Have a test delivered by the running system, and wait: whether it was taken, and what came of it."""
    async with opened_desk(environ) as desk:
        endpoint = await desk.endpoints.get(endpoint_id)
        event_id = f"evt_webhook_test_{ULID()}"
        await desk.outbox.put_test(endpoint.account_id, endpoint_id, event_id)
        waited = timedelta()
        while waited < within:
            state, _, outcome = await desk.outbox.state(event_id, endpoint_id) or (None, 0, None)
            if state in (DeliveryState.DELIVERED, DeliveryState.FAILED) or outcome is not None:
                return state == DeliveryState.DELIVERED, outcome or str(state)
            await asyncio.sleep(0.2)
            waited += timedelta(seconds=0.2)
    return False, "nobody has tried yet: does a sessions worker run?"
