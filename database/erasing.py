"""Erasing an account: every row that leads back to it goes, in batches; what is left says nothing of whom it was."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from database.accounts import no_account
from database.engine import reading, writing
from database.instants import db_now, from_now
from database.statements import insert_if_absent
from database.tables import (
    accounts,
    admission_freezes,
    api_keys,
    avatars,
    charges,
    control_lines,
    creates,
    erased_charges,
    erased_objects,
    erasures,
    leases,
    links,
    made_avatars,
    minute_packs,
    session_events,
    sessions,
    slots,
    waiting,
    webhook_deliveries,
    webhook_endpoints,
    webhook_events,
)
from domain.failures import FailureCode, Refused

SESSIONS_AT_ONCE = 200
AVATARS_AT_ONCE = 20
WORKED_ON_S = 7200.0
"""A workflow that began longer ago has closed, or its session has not ended."""


@dataclass(frozen=True, kw_only=True)
class Erasure:
    """An erasure as it stands."""

    receipt_id: str
    account_sha256: str
    begun_at: datetime
    erased_at: datetime | None
    counts: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Work:
    """What may still be done for an account."""

    unended: int
    """Sessions that have not ended, and slots that theirs still hold."""
    session_ids: list[str]
    """Sessions that ended lately: their workflows may be closing."""
    avatar_ids: list[str]
    """Avatars that were begun lately: their uploads may be at it."""


def digest(text: str) -> str:
    """SHA-256 in hexadecimal: what stays of an id."""
    return hashlib.sha256(text.encode()).hexdigest()


class Erasing:
    """Erases one account. Each call is a transaction that can be repeated, and counts in it what it deletes."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def begin(self, account_id: str, receipt_id: str) -> str:
        """Note that an account is to be erased; the receipt's id, an earlier one's if it was begun before."""
        row = {"receipt_id": receipt_id, "account_sha256": digest(account_id), "account_id": account_id}
        async with writing(self._engine) as connection:
            await insert_if_absent(connection, erasures, {**row, "begun_at": db_now(), "counts": {}})
            query = select(erasures.c.receipt_id).where(erasures.c.account_sha256 == digest(account_id))
            return str(await connection.scalar(query))

    async def work(self, account_id: str) -> Work:
        """What may still be done for the account, which is closed."""
        mine = select(sessions.c.session_id).where(sessions.c.account_id == account_id)
        live = mine.where(sessions.c.ended_at.is_(None)).subquery()
        lately = mine.where(sessions.c.ended_at > from_now(-WORKED_ON_S))
        begun = select(made_avatars.c.avatar_id).where(
            made_avatars.c.account_id == account_id, made_avatars.c.reserved_at > from_now(-WORKED_ON_S)
        )
        async with reading(self._engine) as connection:
            unended = await connection.scalar(select(func.count()).select_from(live)) or 0
            held = select(func.count()).select_from(slots).where(slots.c.session_id.in_(mine))
            return Work(
                unended=unended + (await connection.scalar(held) or 0),
                session_ids=list(await connection.scalars(lately)),
                avatar_ids=list(await connection.scalars(begun)),
            )

    async def avatars_of(self, account_id: str, *, at_most: int = AVATARS_AT_ONCE) -> list[str]:
        """Ids of some of its avatars, deleted ones too."""
        query = select(avatars.c.avatar_id).where(avatars.c.account_id == account_id).order_by(avatars.c.avatar_id)
        async with reading(self._engine) as connection:
            return list(await connection.scalars(query.limit(at_most)))

    async def owners_of_staged(self, account_id: str, among: Sequence[str]) -> list[str]:
        """Those of some sessions and avatars that are the account's."""
        mine = select(sessions.c.session_id).where(
            sessions.c.account_id == account_id, sessions.c.session_id.in_(among)
        )
        made = select(made_avatars.c.avatar_id).where(
            made_avatars.c.account_id == account_id, made_avatars.c.avatar_id.in_(among)
        )
        async with reading(self._engine) as connection:
            return [*await connection.scalars(mine), *await connection.scalars(made)]

    async def note_objects(self, receipt_id: str, keys: Sequence[str]) -> None:
        """Write the digests of objects' keys into the receipt, before the objects go."""
        rows = [{"receipt_id": receipt_id, "key_sha256": digest(key)} for key in keys]
        if rows:
            async with writing(self._engine) as connection:
                await insert_if_absent(connection, erased_objects, rows)

    async def erase_avatars(self, account_id: str, receipt_id: str, avatar_ids: Sequence[str]) -> None:
        """Delete avatars whose pictures are gone, with their portraits."""
        which = (avatars.c.account_id == account_id) & avatars.c.avatar_id.in_(avatar_ids)
        async with writing(self._engine) as connection:
            await _count(connection, receipt_id, {"avatars": await _gone(connection, avatars, which)})

    async def erase_sessions(self, account_id: str, receipt_id: str) -> int:
        """Delete some sessions that have ended, with all that hangs on them; how many. Their bills stay alone."""
        query = select(sessions.c.session_id).where(
            sessions.c.account_id == account_id, sessions.c.ended_at.is_not(None)
        )
        async with writing(self._engine) as connection:
            found = list(await connection.scalars(query.limit(SESSIONS_AT_ONCE)))
            if found:
                await _keep_bills(connection, receipt_id, found)
                counts = {}
                for table in (session_events, leases, waiting, control_lines, charges, sessions):
                    counts[table.name] = await _gone(connection, table, table.c.session_id.in_(found))
                await _count(connection, receipt_id, counts)
        return len(found)

    async def finish(self, account_id: str, receipt_id: str) -> None:
        """Delete what is left, and the account itself, in one transaction. Its sessions and avatars are gone."""
        events = select(webhook_events.c.event_id).where(webhook_events.c.account_id == account_id)
        async with writing(self._engine) as connection:
            counts = {"webhook_deliveries": await _gone(connection, webhook_deliveries, _in(events))}
            for table in (*OF_ACCOUNT, accounts):
                counts[table.name] = await _gone(connection, table, table.c.account_id == account_id)
            frozen = admission_freezes.c.scope == account_id
            counts["admission_freezes"] = await _gone(connection, admission_freezes, frozen)
            await _count(connection, receipt_id, counts)
            one = update(erasures).where(erasures.c.receipt_id == receipt_id, erasures.c.erased_at.is_(None))
            await connection.execute(one.values(account_id=None, erased_at=db_now()))

    async def touches(self, account_id: str) -> dict[str, int]:
        """How many rows of each table an erasure would delete; NOT_FOUND without the account."""
        mine = select(sessions.c.session_id).where(sessions.c.account_id == account_id)
        events = select(webhook_events.c.event_id).where(webhook_events.c.account_id == account_id)
        wanted: list[tuple[Table, ColumnElement[bool]]] = [
            (table, table.c.account_id == account_id) for table in (*OF_ACCOUNT, accounts, avatars, sessions, charges)
        ]
        wanted += [(one, one.c.session_id.in_(mine)) for one in (session_events, leases, waiting, control_lines)]
        wanted += [(webhook_deliveries, _in(events)), (admission_freezes, admission_freezes.c.scope == account_id)]
        async with reading(self._engine) as connection:
            counts = {
                table.name: int(await connection.scalar(select(func.count()).select_from(table).where(which)) or 0)
                for table, which in wanted
            }
        if not counts[accounts.name]:
            raise no_account()
        return {name: number for name, number in counts.items() if number}

    async def found(self, name: str) -> Erasure:
        """The erasure of a receipt's or an account's id; NOT_FOUND without one."""
        which = or_(erasures.c.receipt_id == name, erasures.c.account_sha256 == digest(name))
        columns = [erasures.c[column] for column in Erasure.__dataclass_fields__]
        async with reading(self._engine) as connection:
            row = (await connection.execute(select(*columns).where(which))).mappings().one_or_none()
        if row is None:
            raise Refused(FailureCode.NOT_FOUND, f"there is no receipt {name}")
        return Erasure(**row)

    async def proof(self, receipt_id: str) -> tuple[list[str], Row[Any]]:
        """The digests of the keys of all objects that went, and what stays of the ledger: bills, minutes, time."""
        keys = select(erased_objects.c.key_sha256).where(erased_objects.c.receipt_id == receipt_id)
        minutes, served = erased_charges.c.minutes, erased_charges.c.served_ms
        kept = select(
            func.count().label("charges"),
            func.coalesce(func.sum(minutes), 0).label("minutes"),
            func.coalesce(func.sum(served), 0).label("served_ms"),
        ).where(erased_charges.c.receipt_id == receipt_id)
        async with reading(self._engine) as connection:
            digests = list(await connection.scalars(keys.order_by(erased_objects.c.key_sha256)))
            return digests, (await connection.execute(kept)).one()


OF_ACCOUNT = (webhook_events, webhook_endpoints, links, creates, made_avatars, minute_packs, api_keys)
"""Tables that name the account, in an order in which they can go."""


def _in(events: Any) -> ColumnElement[bool]:
    return webhook_deliveries.c.event_id.in_(events)


async def _gone(connection: AsyncConnection, table: Table, which: ColumnElement[bool]) -> int:
    return (await connection.execute(delete(table).where(which))).rowcount


async def _count(connection: AsyncConnection, receipt_id: str, counts: Mapping[str, int]) -> None:
    """Add to the receipt, in the transaction that deletes."""
    one = erasures.c.receipt_id == receipt_id
    before = await connection.scalar(select(erasures.c.counts).where(one).with_for_update())
    summed = Counter(before or {}) + Counter(counts)
    await connection.execute(update(erasures).where(one).values(counts=dict(sorted(summed.items()))))


async def _keep_bills(connection: AsyncConnection, receipt_id: str, session_ids: Sequence[str]) -> None:
    names = ("charged_at", "served_ms", "minutes", "included_minutes", "purchased_minutes")
    query = select(charges.c.session_id, *[charges.c[name] for name in names])
    rows = (await connection.execute(query.where(charges.c.session_id.in_(session_ids)))).mappings().all()
    kept = [
        {"charge_id": digest(row["session_id"]), "receipt_id": receipt_id} | {name: row[name] for name in names}
        for row in rows
    ]
    if kept:
        await connection.execute(insert(erased_charges), kept)
