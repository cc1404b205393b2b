"""The outbox's side of a change: what endpoints are told is written in the same transaction, once."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from database.instants import db_now
from database.statements import insert_if_absent
from database.tables import (
    avatars,
    charges,
    leases,
    sessions,
    webhook_deliveries,
    webhook_endpoints,
    webhook_events,
)
from domain.plans import expires_at
from domain.session import SessionStatus
from domain.webhooks import WebhookEvent, event_id


async def announce(
    connection: AsyncConnection, account_id: str, event: WebhookEvent, subject: str, data: Mapping[str, Any]
) -> None:
    """Have the account's endpoints told what happened to a session or avatar. Without endpoints nothing is written."""
    if endpoints := await _listening(connection, account_id, event):
        await put(connection, account_id, event, event_id(event, subject), data, endpoints)


async def announce_session(connection: AsyncConnection, session_id: str, event: WebhookEvent) -> None:
    """Have the account of a session told of it, as it stands in this transaction; nothing if it never started."""
    query = select(sessions).where(sessions.c.session_id == session_id, sessions.c.started_at.is_not(None))
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return
    if endpoints := await _listening(connection, row.account_id, event):
        data = _told(row)
        if row.status == SessionStatus.ENDED:
            data["usage"] = await _usage(connection, row)
        await put(connection, row.account_id, event, event_id(event, session_id), data, endpoints)


async def announce_avatar(connection: AsyncConnection, avatar_id: str, *, made_since: datetime | None = None) -> None:
    """Have the account of an avatar told that it stands, once, whoever says so; nothing of a public or deleted one.

    `made_since`: only of an avatar that is not older, as the one that a session was created with is not.
    """
    there = and_(avatars.c.avatar_id == avatar_id, avatars.c.account_id.is_not(None), avatars.c.deleted_at.is_(None))
    if made_since is not None:
        there = and_(there, avatars.c.created_at >= made_since)
    row = (await connection.execute(select(avatars.c.account_id, avatars.c.primary_ratio).where(there))).one_or_none()
    if row is not None:
        told = {"avatar_id": avatar_id, "aspect_ratio": row.primary_ratio}
        await announce(connection, row.account_id, WebhookEvent.AVATAR_CREATED, avatar_id, told)


async def put(
    connection: AsyncConnection,
    account_id: str,
    event: WebhookEvent,
    name: str,
    data: Mapping[str, Any],
    endpoints: list[str],
) -> None:
    """Write an event under its id and one delivery for each endpoint; an event that is there already stays as it is."""
    row = {"event_id": name, "account_id": account_id, "type": event, "at": db_now(), "data": dict(data)}
    if await insert_if_absent(connection, webhook_events, row):
        usual = {"event_id": name, "round": 1, "state": "pending", "attempts": 0, "changed_at": db_now()}
        for endpoint in endpoints:
            await connection.execute(insert(webhook_deliveries).values(**usual, endpoint_id=endpoint))


async def _listening(connection: AsyncConnection, account_id: str, event: WebhookEvent) -> list[str]:
    columns = (webhook_endpoints.c.endpoint_id, webhook_endpoints.c.events)
    query = select(*columns).where(
        webhook_endpoints.c.account_id == account_id, webhook_endpoints.c.removed_at.is_(None)
    )
    return [row.endpoint_id for row in await connection.execute(query) if event in row.events]


def _told(row: Row[Any]) -> dict[str, Any]:
    return {
        "session_id": row.session_id,
        "status": row.status,
        "avatar": {"avatar_id": row.avatar_id},
        "aspect_ratio": row.aspect_ratio,
        "metadata": row.metadata,
        "started_at": _text(row.started_at),
        "expiration": _text(expires_at(row.started_at, row.plan_seconds)),
        "ended_at": _text(row.ended_at),
        "end_reason": row.end_reason,
    }


async def _usage(connection: AsyncConnection, row: Row[Any]) -> dict[str, Any]:
    """How long the session was, how long an avatar was served in it, and its bill, which the same transaction wrote."""
    served = select(func.sum(leases.c.served_ms)).where(leases.c.session_id == row.session_id)
    billed = (charges.c.minutes, charges.c.included_minutes, charges.c.purchased_minutes)
    query = select(served.scalar_subquery().label("served_ms"), *billed).where(charges.c.session_id == row.session_id)
    found: Mapping[Any, Any] = (await connection.execute(query)).mappings().one_or_none() or {}
    served_ms = found.get("served_ms") or (await connection.scalar(served)) or 0
    return {
        "duration": max(int((row.ended_at - row.started_at).total_seconds()), 0),
        "served_seconds": int(served_ms) // 1000,
        **{column.name: found.get(column.name) for column in billed},
    }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
