"""Leases: slots of avatar servers, claimed for sessions (design rules 8 and 9). The row is the authority."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, and_, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from database.audit import refusal_of_ended
from database.avatar_servers import takes_sessions
from database.engine import reading, writing
from database.instants import db_now
from database.tables import avatar_servers, leases, sessions, slots
from domain.failures import FailureCode, Refused
from domain.leases import Lease, LeaseSight


class Leases:
    """The store of leases."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def claim(self, session_id: str, generation: int) -> Lease:
        """Take a free slot for a generation of a session, and revoke the session's older leases.

        A repeat finds its own lease. Refused: SESSION_NOT_FOUND; LEASE_REVOKED for a generation that was revoked or
        overtaken; AT_CAPACITY where no server has a free slot, and then nothing has changed. A session that has ended
        answers the failure that it ended by, else LEASE_REVOKED.
        """
        async with writing(self._engine) as connection:
            await _lock_live_session(connection, session_id)
            newest = await _newest_lease(connection, session_id)
            if newest is not None and newest.generation >= generation:
                return _own(newest, generation)
            slot = await _lock_free_slot(connection)
            if newest is not None and newest.revoked_at is None:
                await _revoke(connection, session_id)
            stop = {} if newest is None else {"stop_at": newest.stop_at, "stop_reason": newest.stop_reason}
            await _take(connection, slot, session_id, generation, stop)
        return _lease(session_id, generation, slot)

    async def look(self, session_id: str, generation: int) -> LeaseSight:
        """What the row shows now; a lease that never was is not held."""
        same = and_(leases.c.session_id == session_id, leases.c.generation == generation)
        query = select(leases.c.revoked_at, leases.c.renewals, leases.c.served_ms).where(same)
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return LeaseSight(held=False, renewals=0, served_ms=0)
        return LeaseSight(held=row.revoked_at is None, renewals=row.renewals, served_ms=row.served_ms)


async def _lock_live_session(connection: AsyncConnection, session_id: str) -> None:
    """Make the session's claims, start and end stand in line. A statement of its own: what follows sees the result."""
    query = select(sessions.c.ended_at, sessions.c.end_reason).where(sessions.c.session_id == session_id)
    row = (await connection.execute(query.with_for_update())).one_or_none()
    if row is None:
        raise Refused(FailureCode.SESSION_NOT_FOUND, "Session not found")
    if row.ended_at is not None:
        raise refusal_of_ended(row.end_reason, otherwise=FailureCode.LEASE_REVOKED)


async def _newest_lease(connection: AsyncConnection, session_id: str) -> Row[Any] | None:
    query = select(leases).where(leases.c.session_id == session_id).order_by(leases.c.generation.desc()).limit(1)
    return (await connection.execute(query)).one_or_none()


def _own(newest: Row[Any], generation: int) -> Lease:
    if newest.generation > generation or newest.revoked_at is not None:
        raise Refused(FailureCode.LEASE_REVOKED, f"Generation {generation} of the session holds no lease any more")
    return _lease(newest.session_id, generation, newest)


def _lease(session_id: str, generation: int, at: Row[Any]) -> Lease:
    return Lease(session_id=session_id, generation=generation, boot_id=at.boot_id, server=at.server, queue=at.queue)


async def _lock_free_slot(connection: AsyncConnection) -> Row[Any]:
    """A slot of the server with the most free ones. Claims at the same time pass over each other's slots."""
    is_free = slots.c.session_id.is_(None)
    free = select(slots.c.boot_id, func.count().label("number")).where(is_free).group_by(slots.c.boot_id).subquery()
    server = avatar_servers.c
    query = (
        select(slots.c.boot_id, slots.c.number, server.name.label("server"), server.queue)
        .join(avatar_servers, server.boot_id == slots.c.boot_id)
        .join(free, free.c.boot_id == slots.c.boot_id)
        .where(is_free, takes_sessions())
        .order_by(free.c.number.desc(), slots.c.boot_id, slots.c.number)
        .limit(1)
        .with_for_update(of=slots, skip_locked=True)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise _at_capacity()
    return row


async def _revoke(connection: AsyncConnection, session_id: str) -> None:
    held = and_(leases.c.session_id == session_id, leases.c.revoked_at.is_(None))
    await connection.execute(update(leases).where(held).values(revoked_at=db_now()))


async def _take(
    connection: AsyncConnection, slot: Row[Any], session_id: str, generation: int, stop: Mapping[str, Any]
) -> None:
    """The slot's row and the lease's; that the slot is free is asked again by the statement that takes it."""
    holder = {"session_id": session_id, "generation": generation}
    same = and_(slots.c.boot_id == slot.boot_id, slots.c.number == slot.number, slots.c.session_id.is_(None))
    if not (await connection.execute(update(slots).where(same).values(holder))).rowcount:
        raise _at_capacity()
    place = {"boot_id": slot.boot_id, "server": slot.server, "queue": slot.queue}
    counters = {"claimed_at": db_now(), "renewed_at": db_now(), "renewals": 0, "served_ms": 0}
    await connection.execute(insert(leases).values(**holder, **place, **counters, **stop))


def _at_capacity() -> Refused:
    return Refused(FailureCode.AT_CAPACITY, "No avatar server has a free slot")
