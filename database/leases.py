"""Leases: slots of avatar servers, claimed for sessions (design rules 8 and 9). The row is the authority."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, and_, func, insert, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from database import line
from database.audit import refusal_of_ended
from database.avatar_servers import could_serve, free_slots, has_labels, takes_sessions
from database.ends import replace
from database.engine import reading, writing
from database.instants import db_now
from database.tables import accounts, avatar_servers, leases, sessions, slots
from domain.failures import FailureCode, Refused
from domain.labels import Kind, Labels, kinds_for
from domain.leases import Lease, LeaseSight
from domain.line import Standing
from telemetry.metrics import LINE_SECONDS

SESSION_ENDED = "session_ended"
MOVED = "moved"
FAREWELL_WITHIN_S = 1.0
"""Nobody stays longer in a room for want of a word."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a claim needs to know of its session beyond the name."""

    session_id: str
    generation: int
    in_turn: bool
    """It stands behind everybody who waits; a session that runs already goes before them."""
    wait_s: float = 0.0
    """Where nothing is free for it: how long it waits in line, 0 for not at all."""
    duplicate_key: str = ""
    """Older sessions with the same one end when this one gets its slot."""


class Leases:
    """The store of leases."""

    def __init__(self, engine: AsyncEngine, longest_line: int = 100) -> None:
        self._engine = engine
        self._longest_line = longest_line

    async def claim(self, session_id: str, generation: int) -> Lease:
        """Take a free slot for a further generation of a session, before everybody who waits in line.

        Revokes the session's older leases. A repeat finds its own lease. Refused: SESSION_NOT_FOUND; LEASE_REVOKED
        for a generation that was revoked or overtaken; AT_CAPACITY where no server has a free slot, and then nothing
        has changed. A session that has ended answers the failure that it ended by, else LEASE_REVOKED.
        """
        return await self._claim(Claim(session_id=session_id, generation=generation, in_turn=False))

    async def claim_in_turn(self, session_id: str, *, wait_s: float = 0.0, duplicate_key: str = "") -> Lease:
        """Take a slot for the first generation of a session, when it is its turn; refused as `claim`.

        A try that finds none for it leaves it in line for so long, until its next try: AT_CAPACITY tells where. Older
        sessions with its duplicate key end in the same moment; if need be their slot becomes this one's.
        """
        return await self._claim(
            Claim(session_id=session_id, generation=1, in_turn=True, wait_s=wait_s, duplicate_key=duplicate_key)
        )

    async def _claim(self, claim: Claim) -> Lease:
        session_id, generation = claim.session_id, claim.generation
        async with writing(self._engine) as connection:
            session, older = await _lock_live_session(connection, claim)
            newest = await _newest_lease(connection, session_id)
            if newest is not None and newest.generation >= generation:
                return _own(newest, generation)
            found = await self._slot_for(connection, claim, session, older)
            if isinstance(found, Row):
                if newest is not None and newest.revoked_at is None:
                    await _revoke(connection, session_id)
                await replace(connection, older, session_id)
                stop = {} if newest is None else {"stop_at": newest.stop_at, "stop_reason": newest.stop_reason}
                await _take(connection, found, session_id, generation, stop)
                waited_s = await line.leave(connection, session_id)
                if claim.in_turn:
                    LINE_SECONDS.observe(waited_s)
                return _lease(session_id, generation, found)
        raise found  # not before the commit: it may stand in line now

    async def _slot_for(
        self, connection: AsyncConnection, claim: Claim, session: Row[Any], older: Sequence[str]
    ) -> Row[Any] | Refused:
        """The slot that a claim gets; why not, where it gets none. Whoever waits longer leaves it none too many."""
        requires = session.requires or {}
        if not (claim.in_turn and await line.anybody_waits(connection, claim.session_id)):
            slot = await _lock_free_slot(connection, requires)
            if slot is not None:
                return slot
            if not claim.in_turn:
                return await _none_free(connection, requires)
        standing = await line.stand(connection, claim.session_id, session.account_id)
        slot = await _slot_in_turn(connection, requires, standing) or await _slot_of(connection, older, requires)
        if slot is not None:
            return slot
        if (refusal := await _none_free(connection, requires)).code != FailureCode.AT_CAPACITY:
            return refusal
        if claim.wait_s > 0 and (standing.waits or standing.length < self._longest_line):
            await line.wait_on(connection, claim.session_id, session.account_id, claim.wait_s)
        return _at_capacity({"ahead": standing.ahead, "waiting": standing.length})

    async def look(self, session_id: str, generation: int) -> LeaseSight:
        """What the row shows now; a lease that never was is not held."""
        same = and_(leases.c.session_id == session_id, leases.c.generation == generation)
        query = select(leases.c.boot_id, leases.c.revoked_at, leases.c.renewals, leases.c.served_ms).where(same)
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return LeaseSight(held=False, renewals=0, served_ms=0)
        return LeaseSight(
            boot_id=row.boot_id, held=row.revoked_at is None, renewals=row.renewals, served_ms=row.served_ms
        )

    async def farewell(self, session_id: str, generation: int) -> str:
        """What an avatar tells its room when it leaves.

        Why the session ended; MOVED where another generation goes on; SESSION_ENDED if neither is known.
        """
        same = and_(leases.c.session_id == session_id, leases.c.generation == generation)
        query = select(leases.c.ended_as, leases.c.revoked_at).where(same)
        try:
            async with asyncio.timeout(FAREWELL_WITHIN_S), reading(self._engine) as connection:
                row = (await connection.execute(query)).one_or_none()
        except (Refused, TimeoutError):
            return SESSION_ENDED
        if row is None or row.revoked_at is None:
            return SESSION_ENDED
        return row.ended_as or MOVED


async def _lock_live_session(connection: AsyncConnection, claim: Claim) -> tuple[Row[Any], list[str]]:
    """Make the session's claims, start and end stand in line; the session, and the older ones that it replaces.

    A statement of its own: what follows sees the result. All are locked in one order, so that two that replace each
    other's elders do not wait for each other.
    """
    mine = sessions.c.session_id == claim.session_id
    if claim.duplicate_key:  # rule 8: accounts before sessions
        account = select(accounts.c.account_id).join(sessions, sessions.c.account_id == accounts.c.account_id)
        await connection.execute(account.where(mine).with_for_update(of=accounts, key_share=True))
    alike = and_(sessions.c.duplicate_key == claim.duplicate_key, sessions.c.ended_at.is_(None))
    columns = [
        sessions.c[name] for name in ("session_id", "account_id", "created_at", "ended_at", "end_reason", "requires")
    ]
    query = select(*columns).where(or_(mine, alike) if claim.duplicate_key else mine).order_by(sessions.c.session_id)
    rows = (await connection.execute(query.with_for_update())).all()
    session = next((row for row in rows if row.session_id == claim.session_id), None)
    if session is None:
        raise Refused(FailureCode.SESSION_NOT_FOUND, "Session not found")
    if session.ended_at is not None:
        raise refusal_of_ended(session.end_reason, otherwise=FailureCode.LEASE_REVOKED)
    age = (session.created_at, session.session_id)
    return session, [row.session_id for row in rows if (row.created_at, row.session_id) < age]


async def _newest_lease(connection: AsyncConnection, session_id: str) -> Row[Any] | None:
    query = select(leases).where(leases.c.session_id == session_id).order_by(leases.c.generation.desc()).limit(1)
    return (await connection.execute(query)).one_or_none()


def _own(newest: Row[Any], generation: int) -> Lease:
    if newest.generation > generation or newest.revoked_at is not None:
        raise Refused(FailureCode.LEASE_REVOKED, f"Generation {generation} of the session holds no lease any more")
    return _lease(newest.session_id, generation, newest)


def _lease(session_id: str, generation: int, at: Row[Any]) -> Lease:
    return Lease(session_id=session_id, generation=generation, boot_id=at.boot_id, server=at.server, queue=at.queue)


async def _slot_in_turn(connection: AsyncConnection, requires: Labels, standing: Standing) -> Row[Any] | None:
    """A free slot that nobody who stands ahead would miss."""
    free = await free_slots(connection)
    number: Counter[Kind] = Counter()
    for _, labels, slots_free in free:
        number[frozenset(labels.items())] += slots_free
    kinds = kinds_for(requires, standing.required_ahead, number)
    boots = [boot for boot, labels, _ in free if frozenset(labels.items()) in kinds]
    return await _lock_free_slot(connection, requires, boots) if boots else None


async def _lock_free_slot(
    connection: AsyncConnection, requires: Labels, boots: Sequence[str] | None = None
) -> Row[Any] | None:
    """A slot of the server with the most free ones of those that have the labels, or of certain boots.

    Claims at the same time pass over each other's slots.
    """
    chosen = true() if boots is None else slots.c.boot_id.in_(boots)
    is_free = slots.c.session_id.is_(None)
    free = select(slots.c.boot_id, func.count().label("number")).where(is_free).group_by(slots.c.boot_id).subquery()
    server = avatar_servers.c
    query = (
        select(slots.c.boot_id, slots.c.number, server.name.label("server"), server.queue)
        .join(avatar_servers, server.boot_id == slots.c.boot_id)
        .join(free, free.c.boot_id == slots.c.boot_id)
        .where(is_free, takes_sessions(), has_labels(requires), chosen)
        .order_by(free.c.number.desc(), slots.c.boot_id, slots.c.number)
        .limit(1)
        .with_for_update(of=slots, skip_locked=True)
    )
    return (await connection.execute(query)).one_or_none()


async def _slot_of(connection: AsyncConnection, older: Sequence[str], requires: Labels) -> Row[Any] | None:
    """A slot that one of these sessions holds on a server that takes sessions. Its avatar leaves within a second."""
    if not older:
        return None
    server = avatar_servers.c
    same = and_(leases.c.session_id == slots.c.session_id, leases.c.generation == slots.c.generation)
    query = (
        select(slots.c.boot_id, slots.c.number, slots.c.session_id, server.name.label("server"), server.queue)
        .join(avatar_servers, server.boot_id == slots.c.boot_id)
        .join(leases, same)
        .where(slots.c.session_id.in_(older), leases.c.revoked_at.is_(None), takes_sessions(), has_labels(requires))
        .limit(1)
        .with_for_update(of=slots)
    )
    return (await connection.execute(query)).one_or_none()


async def _revoke(connection: AsyncConnection, session_id: str) -> None:
    held = and_(leases.c.session_id == session_id, leases.c.revoked_at.is_(None))
    await connection.execute(update(leases).where(held).values(revoked_at=db_now()))


async def _take(
    connection: AsyncConnection, slot: Row[Any], session_id: str, generation: int, stop: Mapping[str, Any]
) -> None:
    """The slot's row and the lease's; that it is free, or still the other's, the statement that takes it asks again."""
    holder = {"session_id": session_id, "generation": generation}
    holder_before = slots.c.session_id.is_not_distinct_from(getattr(slot, "session_id", None))
    same = and_(slots.c.boot_id == slot.boot_id, slots.c.number == slot.number, holder_before)
    if not (await connection.execute(update(slots).where(same).values(holder))).rowcount:
        raise _at_capacity()
    place = {"boot_id": slot.boot_id, "server": slot.server, "queue": slot.queue}
    counters = {"claimed_at": db_now(), "renewed_at": db_now(), "renewals": 0, "served_ms": 0}
    await connection.execute(insert(leases).values(**holder, **place, **counters, **stop))


async def _none_free(connection: AsyncConnection, requires: Labels) -> Refused:
    """Why a claim gets no slot: all are taken, or no server that is there could ever serve it."""
    if not requires or await could_serve(connection, requires):
        return _at_capacity()
    wanted = ", ".join(f"{name}={value}" for name, value in sorted(requires.items()))
    message = f"No avatar server with {wanted} is there"
    return Refused(FailureCode.NO_MATCHING_SERVER, message, details={"requires": dict(requires)})


def _at_capacity(details: Mapping[str, object] | None = None) -> Refused:
    return Refused(FailureCode.AT_CAPACITY, "No avatar server has a free slot", details=details)
