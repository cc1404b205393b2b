"""The outbox's other side: what is still to be delivered, what exactly, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from database.announcing import put
from database.engine import reading, writing
from database.instants import db_now, from_now
from database.tables import webhook_deliveries, webhook_endpoints, webhook_events
from domain.webhooks import WebhookEvent

ALIVE = webhook_endpoints.c.removed_at.is_(None)


class DeliveryState(StrEnum):
    """How far a delivery has come."""

    PENDING = "pending"
    """No workflow has been started for it."""
    HANDED = "handed"
    """Its workflow delivers it."""
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One event for one endpoint."""

    event_id: str
    endpoint_id: str
    round: int
    """1, and one more for each time that it was asked for again."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """What is to be sent, and where to."""

    url: str
    type: str
    at: datetime
    data: dict[str, Any]
    sealed_secrets: tuple[str, ...]
    """The one in force, and while it is replaced the one before."""
    is_delivered: bool
    """In this round."""


class Outbox:
    """The store of deliveries."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def pending(self, at_most: int = 100) -> list[Delivery]:
        """Deliveries that no workflow has been started for, the oldest first. Nothing else leads out of this state."""
        columns = (webhook_deliveries.c.event_id, webhook_deliveries.c.endpoint_id, webhook_deliveries.c.round)
        query = select(*columns).where(webhook_deliveries.c.state == "pending")  # spelt out, as its index has it
        async with reading(self._engine) as connection:
            rows = await connection.execute(query.order_by(webhook_deliveries.c.changed_at).limit(at_most))
            return [Delivery(**row) for row in rows.mappings()]

    async def hand_over(self, delivery: Delivery) -> None:
        """Note that a workflow has been started; what became of it since stays."""
        still = webhook_deliveries.c.state == DeliveryState.PENDING
        await self._change(delivery, {"state": DeliveryState.HANDED}, still)

    async def message(self, delivery: Delivery) -> Message | None:
        """What to send; None where the endpoint is gone, or the delivery was overtaken by a newer round."""
        query = (
            select(webhook_endpoints, webhook_events.c.type, webhook_events.c.at, webhook_events.c.data)
            .add_columns(webhook_deliveries.c.state, (webhook_endpoints.c.previous_until > db_now()).label("two"))
            .select_from(webhook_deliveries)
            .join(webhook_endpoints)
            .join(webhook_events, webhook_events.c.event_id == webhook_deliveries.c.event_id)
            .where(_is(delivery), ALIVE)
        )
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        secrets = (row.sealed_secret, row.sealed_previous) if row.two else (row.sealed_secret,)
        done = row.state == DeliveryState.DELIVERED
        return Message(url=row.url, type=row.type, at=row.at, data=row.data, sealed_secrets=secrets, is_delivered=done)

    async def attempted(self, delivery: Delivery, outcome: str, *, delivered: bool) -> None:
        """Count an attempt and note what came of it."""
        change: dict[str, Any] = {"attempts": webhook_deliveries.c.attempts + 1, "outcome": outcome}
        if delivered:
            change["state"] = DeliveryState.DELIVERED
        await self._change(delivery, change)

    async def give_up(self, delivery: Delivery, why: str) -> None:
        """Note that nobody tries any more."""
        never = webhook_deliveries.c.state != DeliveryState.DELIVERED
        await self._change(delivery, {"state": DeliveryState.FAILED, "outcome": why}, never)

    async def again(
        self, *, event_id: str | None = None, since: timedelta | None = None, endpoint_id: str | None = None
    ) -> int:
        """Have an event delivered again, or all of the last `since`; how many deliveries there are of it.

        What is still under way is left to its workflow.
        """
        over = webhook_deliveries.c.state.in_([DeliveryState.DELIVERED, DeliveryState.FAILED])
        events = select(webhook_events.c.event_id)
        if event_id is not None:
            events = events.where(webhook_events.c.event_id == event_id)
        if since is not None:
            events = events.where(webhook_events.c.at >= from_now(-since.total_seconds()))
        alive = select(webhook_endpoints.c.endpoint_id).where(ALIVE)
        if endpoint_id is not None:
            alive = alive.where(webhook_endpoints.c.endpoint_id == endpoint_id)
        which = and_(over, webhook_deliveries.c.event_id.in_(events), webhook_deliveries.c.endpoint_id.in_(alive))
        change = {"round": webhook_deliveries.c.round + 1, "state": DeliveryState.PENDING, "attempts": 0}
        async with writing(self._engine) as connection:
            changed = await connection.execute(
                update(webhook_deliveries).where(which).values(**change, outcome=None, changed_at=db_now())
            )
        return changed.rowcount

    async def forget(self, older_than: timedelta) -> int:
        """Delete events that are over and older than that, with their deliveries; how many. Nobody sends them again."""
        old = webhook_events.c.at <= from_now(-older_than.total_seconds())
        under_way = select(webhook_deliveries.c.event_id).where(
            webhook_deliveries.c.state.in_([DeliveryState.PENDING, DeliveryState.HANDED])
        )
        over = and_(old, webhook_events.c.event_id.not_in(under_way))
        theirs = webhook_deliveries.c.event_id.in_(select(webhook_events.c.event_id).where(over))
        async with writing(self._engine) as connection:
            await connection.execute(delete(webhook_deliveries).where(theirs))
            return (await connection.execute(delete(webhook_events).where(over))).rowcount

    async def put_test(self, account_id: str, endpoint_id: str, name: str) -> None:
        """Have one endpoint told that this is a test, under a new id."""
        async with writing(self._engine) as connection:
            data = {"message": "A test by the operator"}
            await put(connection, account_id, WebhookEvent.TEST, name, data, [endpoint_id])

    async def state(self, event_id: str, endpoint_id: str) -> tuple[DeliveryState, int, str | None] | None:
        """How far a delivery has come, its attempts, and what came of the last; None if there is none."""
        one = and_(webhook_deliveries.c.event_id == event_id, webhook_deliveries.c.endpoint_id == endpoint_id)
        async with reading(self._engine) as connection:
            row = (await connection.execute(select(webhook_deliveries).where(one))).one_or_none()
        return None if row is None else (DeliveryState(row.state), row.attempts, row.outcome)

    async def _change(
        self, delivery: Delivery, change: Mapping[str, Any], only: ColumnElement[bool] | None = None
    ) -> None:
        where = _is(delivery) if only is None else and_(_is(delivery), only)
        async with writing(self._engine) as connection:
            await connection.execute(update(webhook_deliveries).where(where).values(**change, changed_at=db_now()))


def _is(delivery: Delivery) -> ColumnElement[bool]:
    return and_(
        webhook_deliveries.c.event_id == delivery.event_id,
        webhook_deliveries.c.endpoint_id == delivery.endpoint_id,
        webhook_deliveries.c.round == delivery.round,
    )
