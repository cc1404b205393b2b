"""What an account has used, and whether the ledger agrees with what was served. It writes nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from database.accounts import places_taken
from database.audit import SessionStep
from database.engine import reading
from database.minutes import minutes_in, served_ms_of
from database.pictures import pictures_used
from database.sessions import session_of, with_bills
from database.standing import standing_of
from database.tables import charges, minute_packs, session_events, sessions
from domain.billing import Minutes, minutes_of
from domain.plans import Concurrency, Period, Plan
from domain.session import Session

LISTED = 100
"""How many of the running sessions are listed."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """An account's plan and what it has used of it in the period that runs."""

    plan: Plan
    period: Period
    minutes: Minutes
    concurrency: Concurrency
    pictures: int
    """Avatars that were made of pictures, or are being made."""
    sessions: list[Session]
    """Those that run, newest first, a hundred at most."""


class UsageReading:
    """Reads what the stores of accounts and sessions wrote."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def of(self, account_id: str) -> Usage:
        """The account's usage now; NOT_FOUND without it."""
        async with reading(self._engine) as connection:
            standing = await standing_of(connection, account_id)
            plan, period = standing.plan, standing.period
            places = int(await connection.scalar(select(places_taken(account_id))) or 0)
            return Usage(
                plan=plan,
                period=period,
                minutes=await minutes_in(connection, account_id, plan, period),
                concurrency=Concurrency(current=places, max=plan.max_concurrent_sessions),
                pictures=await pictures_used(connection, account_id, period),
                sessions=await _running(connection, account_id),
            )

    async def breaches(self, account_id: str | None = None) -> list[str]:
        """A sentence for each bill that cannot be recomputed from what was served (invariant I3); none if all can.

        Of one account, or of all.
        """
        bills, bought = _BILLED, select(minute_packs)
        if account_id is not None:
            bills = bills.where(sessions.c.account_id == account_id)
            bought = bought.where(minute_packs.c.account_id == account_id)
        async with reading(self._engine) as connection:
            billed = (await connection.execute(bills)).all()
            packs = (await connection.execute(bought)).all()
        return [*_wrong_bills(billed), *_wrong_packs(billed, packs)]

    async def billed(self, account_id: str | None = None) -> tuple[int, int]:
        """How many bills the ledger has, and their minutes; of one account, or of all."""
        query = select(func.count(), func.coalesce(func.sum(charges.c.minutes), 0))
        if account_id is not None:
            query = query.where(charges.c.account_id == account_id)
        async with reading(self._engine) as connection:
            number, minutes = (await connection.execute(query)).one()
        return int(number), int(minutes)


async def _running(connection: AsyncConnection, account_id: str) -> list[Session]:
    mine = (sessions.c.account_id == account_id, sessions.c.started_at.is_not(None), sessions.c.ended_at.is_(None))
    newest = (sessions.c.started_at.desc(), sessions.c.session_id.desc())
    rows = await connection.execute(with_bills().where(*mine).order_by(*newest).limit(LISTED))
    return [session_of(row) for row in rows]


_BILLED = (
    select(
        sessions.c.session_id,
        sessions.c.ended_at,
        sessions.c.attended_at,
        sessions.c.reserved_minutes,
        charges.c.session_id.label("billed"),
        charges.c.served_ms,
        charges.c.minutes,
        charges.c.purchased_minutes,
        charges.c.packs,
        served_ms_of(sessions.c.session_id).label("leased_ms"),
        session_events.c.details.label("told"),
    )
    .outerjoin(charges, charges.c.session_id == sessions.c.session_id)
    .outerjoin(
        session_events,
        and_(session_events.c.session_id == sessions.c.session_id, session_events.c.step == SessionStep.ENDED),
    )
    .where(or_(sessions.c.started_at.is_not(None), charges.c.session_id.is_not(None)))
)


def _wrong_bills(rows: Sequence[Row[Any]]) -> Iterator[str]:
    for row in rows:
        name = row.session_id
        if (row.billed is None) != (row.ended_at is None):
            yield f"{name} {'runs and has a bill' if row.billed else 'has ended and has no bill'}"
        if row.billed is None:
            continue
        served = row.leased_ms if row.attended_at is not None else 0
        if row.served_ms != served:
            yield f"{name} was billed for {row.served_ms} ms and was served {served} ms"
        whole = minutes_of(served)
        if row.minutes not in (whole, whole if row.reserved_minutes is None else min(whole, row.reserved_minutes)):
            yield f"{name} was billed {row.minutes} minutes for {served} ms"
        told = row.told or {}
        if {**told, "served_ms": row.served_ms, "minutes": row.minutes} != told:
            yield f"{name} was billed {row.minutes} minutes for {row.served_ms} ms, its audit trail says {told}"
        if row.purchased_minutes != sum(row.packs.values()):
            yield f"{name} was billed {row.purchased_minutes} bought minutes, its packs say {row.packs}"


def _wrong_packs(billed: Sequence[Row[Any]], packs: Sequence[Row[Any]]) -> Iterator[str]:
    for pack in packs:
        used = sum(row.packs.get(pack.pack_id, 0) for row in billed if row.billed is not None)
        if pack.minutes - pack.minutes_left != used:
            yield f"pack {pack.pack_id} has lost {pack.minutes - pack.minutes_left} minutes, bills name {used}"
