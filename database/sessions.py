"""Sessions: each change of status and its audit row are one transaction. The only writer of a session's status."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Row, Select, and_, bindparam, exists, func, select, type_coerce, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from database.accounts import places_taken
from database.admission import (
    Admission,
    check_place,
    count_places,
    first_slice,
    hold_avatar,
    insert_created,
    repeated,
    shares_place,
)
from database.announcing import announce_avatar
from database.audit import SessionStep, audit, refusal_of_ended
from database.ends import end_session
from database.engine import reading, writing
from database.freezes import refusal_of_frozen
from database.instants import db_now
from database.pictures import take_picture
from database.standing import standing_of
from database.stops import set_stop
from database.tables import charges, leases, session_events, sessions
from domain.avatars import AspectRatio
from domain.failures import FailureCode, Refused
from domain.plans import Concurrency, expires_at
from domain.session import Bill, EndReason, Session, SessionStatus
from telemetry.metrics import FAILOVER_SECONDS, FAILOVERS, STARTED


@dataclass(frozen=True, kw_only=True)
class StartedSession:
    """A start as it was committed."""

    started_at: datetime
    expires_at: datetime | None
    """The plan's end; None where the plan has none."""
    enforced_end: datetime


@dataclass(frozen=True, kw_only=True)
class EndedSession:
    """An end as it was committed; `reason` is the first one."""

    reason: str
    ended_at: datetime


class Sessions:
    """The store of sessions. What is repeated answers as the first time and writes nothing twice."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def get(self, session_id: str) -> Session | None:
        """The session, or None."""
        async with reading(self._engine) as connection:
            row = (await connection.execute(_ONE, {"wanted": session_id})).one_or_none()
        return None if row is None else session_of(row)

    async def admit(  # noqa: PLR0913 - each is a fact of the one session
        self,
        *,
        session_id: str,
        account_id: str,
        avatar_id: str,
        aspect_ratio: AspectRatio,
        metadata: Mapping[str, Any],
        remaining_seconds: float,
        picture: bool = False,
        duplicate_key: str = "",
        key_id: str = "",
    ) -> Admission:
        """Reserve what a session needs of its account, all or nothing: a place, minutes, and an avatar's making.

        It gets `remaining_seconds` to start in. With `picture` the avatar is yet to be made, of that id. A session that
        will replace another, by its `duplicate_key`, shares its place. Refused without a trace: ACCOUNT_CLOSED,
        ADMISSIONS_FROZEN, AVATAR_NOT_FOUND, AVATAR_ACCESS_DENIED, PLAN_REQUIRED, AVATAR_LIMIT_REACHED,
        CONCURRENCY_LIMIT_REACHED, INSUFFICIENT_MINUTES, CREATE_TIMED_OUT. A session that has ended answers the failure
        that it ended by, else CREATE_CANCELLED.
        """
        wanted: dict[str, Any] = {"account_id": account_id, "avatar_id": avatar_id}
        wanted |= {"aspect_ratio": aspect_ratio, "metadata": dict(metadata), "duplicate_key": duplicate_key or None}
        wanted["key_id"] = key_id or None
        async with writing(self._engine) as connection:
            standing = await standing_of(connection, account_id, lock=True, admits=True)
            wanted["requires"] = dict(standing.requires) or None
            found = await count_places(connection, session_id, standing)
            concurrency = found.concurrency
            if found.admitted:
                return await repeated(connection, session_id, standing, concurrency)
            standing.check_open()
            if found.frozen:
                raise await refusal_of_frozen(connection, account_id)
            if picture:
                await take_picture(connection, avatar_id, standing)
            else:
                await hold_avatar(connection, avatar_id, account_id)
            shares = await shares_place(connection, duplicate_key)
            if not shares:
                await check_place(connection, account_id, concurrency)
            minutes, held = await first_slice(connection, standing)
            await insert_created(connection, session_id, wanted | {"reserved_minutes": held}, remaining_seconds)
        counted = concurrency if shares else Concurrency(current=concurrency.current + 1, max=concurrency.max)
        return Admission(concurrency=counted, minutes_left=minutes.total_remaining, reserved_minutes=held)

    async def admitted(self, session: Session) -> Admission:
        """What the session's account holds now, as the session's admission would answer it."""
        async with reading(self._engine) as connection:
            standing = await standing_of(connection, session.account_id)
            taken = await connection.scalar(select(places_taken(session.account_id)))
            concurrency = Concurrency(current=taken or 0, max=standing.plan.max_concurrent_sessions)
            return await repeated(connection, session.session_id, standing, concurrency)

    async def show(self, session_id: str, avatar_id: str) -> None:
        """Let a session that is being created show another avatar than it was admitted with; its picture was known.

        Refused: SESSION_NOT_FOUND, AVATAR_NOT_FOUND, AVATAR_ACCESS_DENIED; for a session that has ended the failure
        that it ended by, else CREATE_CANCELLED.
        """
        async with writing(self._engine) as connection:
            row = (await connection.execute(_ONE_LOCKED, {"wanted": session_id})).one_or_none()
            if row is None:
                raise Refused(FailureCode.SESSION_NOT_FOUND, "Session not found")
            if row.status == SessionStatus.ENDED:
                raise refusal_of_ended(row.end_reason, otherwise=FailureCode.CREATE_CANCELLED)
            await hold_avatar(connection, avatar_id, row.account_id)
            mine = sessions.c.session_id == session_id
            await connection.execute(update(sessions).where(mine).values(avatar_id=avatar_id))

    async def start(
        self, session_id: str, generation: int, plan_seconds: float | None, enforced_seconds: float
    ) -> StartedSession:
        """Commit that the avatar is visible; both limits count from this moment.

        Refused: SESSION_NOT_FOUND; CREATE_TIMED_OUT after the deadline; LEASE_REVOKED where this generation does not
        hold; for a session that has ended the failure that it ended by, else CREATE_CANCELLED.
        """
        limits = {"plan_seconds": plan_seconds, "enforced_seconds": enforced_seconds}
        async with writing(self._engine) as connection:
            row = (await connection.execute(_ONE_LOCKED, {"wanted": session_id})).one_or_none()
            if row is None:
                raise Refused(FailureCode.SESSION_NOT_FOUND, "Session not found")
            if row.status == SessionStatus.ENDED:
                raise refusal_of_ended(row.end_reason, otherwise=FailureCode.CREATE_CANCELLED)
            if row.status == SessionStatus.STARTED:
                return started_session(row)
            row = await _commit_start(connection, session_id, generation, limits)
            await audit(connection, session_id, SessionStep.STARTED, generation=generation)
            await announce_avatar(connection, row.avatar_id, made_since=row.created_at)
            started = started_session(row)
            await set_stop(connection, session_id, started.enforced_end, EndReason.EXPIRED)
        STARTED.inc()
        return started

    async def move(self, session_id: str, generation: int, cause: str) -> None:
        """Note that another generation shows the avatar since now, and why the one before does not; once.

        Refused: SESSION_NOT_FOUND; LEASE_REVOKED where this generation does not hold, or the session has ended.
        """
        lease = and_(
            leases.c.session_id == session_id, leases.c.generation == generation, leases.c.revoked_at.is_(None)
        )
        moved = and_(
            session_events.c.session_id == session_id,
            session_events.c.step == SessionStep.MOVED,
            session_events.c.generation == generation,
        )
        async with writing(self._engine) as connection:
            row = (await connection.execute(_ONE_LOCKED, {"wanted": session_id})).one_or_none()
            if row is None:
                raise Refused(FailureCode.SESSION_NOT_FOUND, "Session not found")
            if row.status == SessionStatus.ENDED or not await connection.scalar(select(exists().where(lease))):
                raise Refused(FailureCode.LEASE_REVOKED, f"Generation {generation} of the session holds no lease")
            if await connection.scalar(select(exists().where(moved))):
                return
            gap = {"gap_ms": await _gap_ms(connection, session_id, generation)}
            await audit(connection, session_id, SessionStep.MOVED, generation=generation, reason=cause, details=gap)
        FAILOVERS.labels(cause).inc()
        FAILOVER_SECONDS.observe(gap["gap_ms"] / 1000)

    async def end(self, session_id: str, reason: str, *, attended: bool = False) -> EndedSession | None:
        """End a session: its place and minutes are free, its lease is revoked, and if it had started it is billed.

        None if it was never admitted. The first reason that is committed stands, and every later end answers it.
        `attended`: somebody has been in its room, whether that was noted before or not.
        """
        async with writing(self._engine) as connection:
            row = await end_session(connection, session_id, reason, attended=attended)
        return None if row is None else EndedSession(reason=row.end_reason, ended_at=row.ended_at)


_NAMES = ("session_id", "account_id", "avatar_id", "metadata", "created_at", "started_at", "ended_at", "end_reason")


# Made once: putting a statement together takes longer than running it.
_ONE_LOCKED = select(sessions).where(sessions.c.session_id == bindparam("wanted")).with_for_update()


def with_bills() -> Select[Any]:
    """Sessions, with their bills where they have ended."""
    names = (charges.c.minutes, charges.c.included_minutes, charges.c.purchased_minutes)
    return select(sessions, *names).outerjoin(charges, charges.c.session_id == sessions.c.session_id)


_ONE = with_bills().where(sessions.c.session_id == bindparam("wanted"))


def session_of(row: Row[Any]) -> Session:
    """The session of a row of `with_bills`."""
    return Session(
        **{name: getattr(row, name) for name in _NAMES},
        status=SessionStatus(row.status),
        aspect_ratio=AspectRatio(row.aspect_ratio),
        expires_at=row.started_at and expires_at(row.started_at, row.plan_seconds),
        billing=_bill(row),
    )


def _bill(row: Row[Any]) -> Bill | None:
    if row.minutes is None:
        return None
    return Bill(minutes=row.minutes, included=row.included_minutes, purchased=row.purchased_minutes)


def started_session(row: Row[Any]) -> StartedSession:
    """The start and both limits of a row."""
    enforced_end = expires_at(row.started_at, row.enforced_seconds)
    if enforced_end is None:
        raise AssertionError("a started session has an enforced limit")  # design rule 15
    expires = expires_at(row.started_at, row.plan_seconds)
    return StartedSession(started_at=row.started_at, expires_at=expires, enforced_end=enforced_end)


async def _gap_ms(connection: AsyncConnection, session_id: str, generation: int) -> int:
    """For how long nobody showed the avatar, at most: since the last renewal of the generation before."""
    before = and_(leases.c.session_id == session_id, leases.c.generation < generation)
    since = type_coerce(db_now(), BigInteger) - type_coerce(func.max(leases.c.renewed_at), BigInteger)
    return int(await connection.scalar(select(since).where(before)) or 0)


async def _commit_start(
    connection: AsyncConnection, session_id: str, generation: int, limits: Mapping[str, float | None]
) -> Row[Any]:
    """The statement that makes a session `started`; it asks for deadline and lease itself (design rule 2)."""
    lease = and_(leases.c.session_id == session_id, leases.c.generation == generation, leases.c.revoked_at.is_(None))
    in_time = sessions.c.deadline_at > db_now()
    created = and_(sessions.c.session_id == session_id, sessions.c.status == SessionStatus.CREATED)
    change = {"status": SessionStatus.STARTED, "started_at": db_now(), **limits}
    statement = update(sessions).where(created, in_time, exists().where(lease)).values(change)
    row = (await connection.execute(statement.returning(*sessions.c))).one_or_none()
    if row is not None:
        return row
    if await connection.scalar(select(in_time).where(created)):
        raise Refused(FailureCode.LEASE_REVOKED, f"Generation {generation} of the session holds no lease")
    raise Refused(FailureCode.CREATE_TIMED_OUT, "The time of this create is up")
