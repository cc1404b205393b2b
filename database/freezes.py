"""Freezes of admissions: nobody new is admitted, what runs goes on. An admission and a freeze never overlap."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from database.engine import reading, writing
from database.instants import db_now, from_now
from database.statements import insert_if_absent
from database.tables import admission_freezes
from domain.failures import FailureCode, Refused

EVERYBODY = ""
GATE = "gate"
_LOCK = 7_235_113
"""A number of PostgreSQL's advisory locks: shared by every admission, alone for whoever freezes."""
AGAIN_S = 60
"""What a client is told to wait where nobody has said until when it is frozen."""


@dataclass(frozen=True, kw_only=True)
class Freeze:
    """A freeze that counts."""

    scope: str
    """An account's id; empty: everybody."""
    reason: str
    since: datetime
    until: datetime | None


class Freezes:
    """The store of freezes."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def freeze(
        self, scope: str, reason: str, *, until: datetime | None = None, seconds: float | None = None
    ) -> Freeze:
        """Admit nobody of a scope from the commit on; one that is there is replaced. How it stands."""
        end = from_now(seconds) if seconds is not None else until
        row = {"scope": scope, "reason": reason, "since": db_now(), "until": end}
        async with writing(self._engine) as connection:
            if connection.dialect.name == "postgresql":  # on SQLite every writing transaction is alone
                await connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            await connection.execute(delete(admission_freezes).where(or_(_of(scope), ~_COUNTS)))
            await insert_if_absent(connection, admission_freezes, row)
            stands = await connection.execute(select(admission_freezes).where(_of(scope)))
            return Freeze(**stands.mappings().one())

    async def thaw(self, scope: str) -> bool:
        """Admit again; was it frozen?"""
        async with writing(self._engine) as connection:
            gone = delete(admission_freezes).where(_of(scope), _COUNTS).returning(admission_freezes.c.scope)
            return (await connection.execute(gone)).first() is not None

    async def listed(self) -> list[Freeze]:
        """Every freeze that counts now, everybody's first."""
        query = select(admission_freezes).where(_COUNTS).order_by(admission_freezes.c.scope)
        async with reading(self._engine) as connection:
            return [Freeze(**row) for row in (await connection.execute(query)).mappings()]


_COUNTS = or_(admission_freezes.c.until.is_(None), admission_freezes.c.until > db_now())


def _of(scope: str) -> ColumnElement[bool]:
    return admission_freezes.c.scope == scope


def gate_of(connection: AsyncConnection) -> Sequence[ColumnElement[Any]]:
    """What the first statement of an admission selects besides: nobody freezes between it and the commit.

    The freezes themselves are read by a later statement, which sees what was committed before this one got through.
    """
    if connection.dialect.name != "postgresql":
        return ()
    return (func.pg_advisory_xact_lock_shared(_LOCK).label(GATE),)


def is_frozen(account_id: str) -> ColumnElement[bool]:
    """Is nobody of the account admitted now? As part of a statement."""
    return exists().where(_scopes(account_id))


async def refusal_of_frozen(connection: AsyncConnection, account_id: str) -> Refused:
    """ADMISSIONS_FROZEN, with what was said of it and when to come again."""
    until, now = admission_freezes.c.until, db_now().label("now")
    # What nobody knows the end of comes first, then what ends last.
    longest = select(admission_freezes.c.reason, until, now).where(_scopes(account_id))
    row = (await connection.execute(longest.order_by(until.is_(None).desc(), until.desc()).limit(1))).one_or_none()
    wait, why, ends = AGAIN_S, "", None
    if row is not None:
        why, ends = row.reason, row.until
        wait = AGAIN_S if ends is None else max(round((ends - row.now).total_seconds()), 1)
    message = f"No new sessions are taken at the moment{f': {why}' if why else ''}"
    details = {"retry_after_seconds": wait, "until": ends and ends.isoformat()}
    return Refused(FailureCode.ADMISSIONS_FROZEN, message, details=details)


def _scopes(account_id: str) -> ColumnElement[bool]:
    return and_(admission_freezes.c.scope.in_((EVERYBODY, account_id)), _COUNTS)
