"""Whom accounts have told. Knows sealed secrets only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from database.accounts import no_account
from database.engine import reading, writing
from database.instants import db_now, from_now
from database.tables import accounts, webhook_endpoints
from domain.failures import FailureCode, Refused


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A customer's address, and what it is told."""

    endpoint_id: str
    account_id: str
    url: str
    events: list[str]
    created_at: datetime
    previous_until: datetime | None
    """Until when the secret before this one signs too."""


class WebhookEndpoints:
    """The store of endpoints. A removed one stays as a row, since its deliveries name it."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(
        self, *, endpoint_id: str, account_id: str, url: str, events: Sequence[str], sealed_secret: str
    ) -> None:
        """Tell an address from now on. NOT_FOUND without the account."""
        row = {"endpoint_id": endpoint_id, "account_id": account_id, "url": url, "events": list(events)}
        async with writing(self._engine) as connection:
            known = select(accounts.c.account_id).where(accounts.c.account_id == account_id)
            if await connection.scalar(known) is None:
                raise no_account()
            await connection.execute(
                insert(webhook_endpoints).values(**row, sealed_secret=sealed_secret, created_at=db_now())
            )

    async def every(self, account_id: str | None = None) -> list[Endpoint]:
        """The endpoints of all accounts or of one, the oldest first."""
        query = select(webhook_endpoints).where(webhook_endpoints.c.removed_at.is_(None))
        if account_id is not None:
            query = query.where(webhook_endpoints.c.account_id == account_id)
        async with reading(self._engine) as connection:
            rows = await connection.execute(query.order_by(webhook_endpoints.c.created_at))
            return [_endpoint(row) for row in rows]

    async def get(self, endpoint_id: str) -> Endpoint:
        """One endpoint; NOT_FOUND where it is not, or not any more."""
        mine = (webhook_endpoints.c.endpoint_id == endpoint_id, webhook_endpoints.c.removed_at.is_(None))
        async with reading(self._engine) as connection:
            row = (await connection.execute(select(webhook_endpoints).where(*mine))).one_or_none()
        if row is None:
            raise _no_endpoint()
        return _endpoint(row)

    async def rotate(self, endpoint_id: str, sealed_secret: str, both_for: timedelta) -> None:
        """Sign with a new secret from now on, and for a while with the present one too. NOT_FOUND."""
        change = {
            "sealed_previous": webhook_endpoints.c.sealed_secret,
            "previous_until": from_now(both_for.total_seconds()),
            "sealed_secret": sealed_secret,
        }
        await self._change(endpoint_id, **change)

    async def remove(self, endpoint_id: str) -> None:
        """Tell it nothing more, not even what is under way; its secrets are forgotten. NOT_FOUND."""
        await self._change(endpoint_id, removed_at=db_now(), sealed_secret="", sealed_previous=None)

    async def _change(self, endpoint_id: str, **change: Any) -> None:
        mine = (webhook_endpoints.c.endpoint_id == endpoint_id, webhook_endpoints.c.removed_at.is_(None))
        statement = update(webhook_endpoints).where(*mine).values(**change)
        async with writing(self._engine) as connection:
            found = (await connection.execute(statement.returning(webhook_endpoints.c.endpoint_id))).one_or_none()
        if found is None:
            raise _no_endpoint()


def _endpoint(row: Row[Any]) -> Endpoint:
    names = ("endpoint_id", "account_id", "url", "events", "created_at", "previous_until")
    return Endpoint(**{name: getattr(row, name) for name in names})


def _no_endpoint() -> Refused:
    return Refused(FailureCode.NOT_FOUND, "Webhook endpoint not found")
