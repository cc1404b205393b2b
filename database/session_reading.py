"""What is read of sessions: an account's list, page by page, and the timeline of one. It writes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, Select, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from database.audit import SessionStep
from database.engine import reading
from database.sessions import session_of, with_bills
from database.tables import leases, session_events, sessions
from domain.paging import Position
from domain.session import Session, SessionStatus

LEASED = "lease_server"
"""The step of the entries that stand for leases; the others are named by their audit rows."""


class Listed(StrEnum):
    """Which sessions are listed: all that ever started, those that run, or those that ran."""

    ALL = "all"
    STARTED = "started"
    ENDED = "ended"


@dataclass(frozen=True, kw_only=True)
class SessionPage:
    """Some sessions, newest start first, and where the next page goes on; None where there is none."""

    sessions: list[Session]
    next: Position | None


@dataclass(frozen=True, kw_only=True)
class TimelineEntry:
    """One change of a session."""

    at: datetime
    step: str
    status: str
    """Of the session after it."""
    generation: int
    """Of the lease that it concerns; 0: none."""
    cause: str | None = None
    server: str | None = None
    took_ms: int | None = None
    """How long the step took; None where no step of a workflow made the change, or nobody noted it."""
    workflow_id: str | None = None
    run_id: str | None = None
    details: dict[str, Any] | None = None


class SessionReading:
    """Reads what the stores of sessions and leases wrote."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def page(self, account_id: str, listed: Listed, limit: int, after: Position | None = None) -> SessionPage:
        """At most `limit` of the account's sessions that started, those after a position if one is given.

        What starts meanwhile stands before every page that was read already: none is missed or told twice.
        """
        query = _listed(account_id, listed, after).limit(limit + 1)
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).all()
        more = len(rows) > limit
        found = rows[:limit]
        last = Position(at=found[-1].started_at, entry_id=found[-1].session_id) if more else None
        return SessionPage(sessions=[session_of(row) for row in found], next=last)

    async def timeline(self, session_id: str) -> list[TimelineEntry]:
        """Every change of a session in its order; empty if there is no such session."""
        async with reading(self._engine) as connection:
            held = await _leases(connection, session_id)
            query = select(session_events).where(session_events.c.session_id == session_id)
            rows = (await connection.execute(query.order_by(session_events.c.id))).all()
        servers = {entry.generation: entry.server for entry in held}
        entries = [_entry(row, servers) for row in rows]
        # A lease comes before what happens under it, also within one millisecond.
        return sorted([*held, *entries], key=lambda entry: (entry.at, _rank(entry)))


def _listed(account_id: str, listed: Listed, after: Position | None) -> Select[Any]:
    query = with_bills().where(sessions.c.account_id == account_id, sessions.c.started_at.is_not(None))
    if listed is Listed.STARTED:
        query = query.where(sessions.c.ended_at.is_(None))
    elif listed is Listed.ENDED:
        query = query.where(sessions.c.ended_at.is_not(None))
    if after is not None:
        same = and_(sessions.c.started_at == after.at, sessions.c.session_id < after.entry_id)
        query = query.where(or_(sessions.c.started_at < after.at, same))
    return query.order_by(sessions.c.started_at.desc(), sessions.c.session_id.desc())


async def _leases(connection: AsyncConnection, session_id: str) -> list[TimelineEntry]:
    query = select(leases.c.generation, leases.c.claimed_at, leases.c.server)
    rows = await connection.execute(query.where(leases.c.session_id == session_id).order_by(leases.c.generation))
    return [
        TimelineEntry(
            at=row.claimed_at,
            step=LEASED,
            status=SessionStatus.CREATED if row.generation == 1 else SessionStatus.STARTED,
            generation=row.generation,
            server=row.server,
        )
        for row in rows
    ]


def _entry(row: Row[Any], servers: Mapping[int, str | None]) -> TimelineEntry:
    generation = 0 if row.step == SessionStep.EXTENDED else row.generation  # there it is the extension's number
    return TimelineEntry(
        at=row.at,
        step=row.step,
        status=row.status,
        generation=generation,
        cause=row.reason,
        server=servers.get(generation),
        took_ms=row.took_ms,
        workflow_id=row.workflow_id,
        run_id=row.run_id,
        details=row.details,
    )


def _rank(entry: TimelineEntry) -> int:
    """Among entries of the same millisecond: the admission, leases, then what happens under them, the end."""
    if entry.status == SessionStatus.ENDED:
        return 3
    if entry.step == LEASED:
        return 1
    return 2 if entry.generation else 0
