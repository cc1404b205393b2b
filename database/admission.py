"""The parts of an admission, in their order: each statement sees what the locks before it settled."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import exists, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from database.accounts import places_taken
from database.audit import SessionStep, audit, refusal_of_ended
from database.freezes import is_frozen
from database.instants import db_now, from_now
from database.minutes import minutes_in
from database.standing import Standing
from database.tables import avatars, sessions
from domain.avatars import AspectRatio, Avatar, check_access
from domain.billing import Minutes, next_slice
from domain.failures import FailureCode, Refused
from domain.plans import Concurrency, calculate_expiry
from domain.session import SessionStatus

SHOWN_SESSIONS = 20
"""How many of the sessions that hold the places are named in a refusal."""


@dataclass(frozen=True, kw_only=True)
class Admission:
    """What a session was given; the numbers count it."""

    concurrency: Concurrency
    minutes_left: int
    """What the account is shown as left."""
    reserved_minutes: int | None
    """Held for this session; None: its plan has no limit."""


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What an admission finds."""

    concurrency: Concurrency
    admitted: bool
    """The session itself is in it already."""
    frozen: bool
    """Nobody of this account is admitted now."""


async def count_places(connection: AsyncConnection, session_id: str, standing: Standing) -> Counted:
    """The account's concurrency, and whether the session is in it already; one that has ended is refused."""
    mine = sessions.c.session_id == session_id
    status = select(sessions.c.status).where(mine).scalar_subquery()
    reason = select(sessions.c.end_reason).where(mine).scalar_subquery()
    frozen = is_frozen(standing.account_id).label("frozen")
    query = select(places_taken(standing.account_id), status.label("status"), reason.label("end_reason"), frozen)
    row = (await connection.execute(query)).one()
    if row.status == SessionStatus.ENDED:
        raise refusal_of_ended(row.end_reason, otherwise=FailureCode.CREATE_CANCELLED)
    concurrency = Concurrency(current=row.places_taken, max=standing.plan.max_concurrent_sessions)
    return Counted(concurrency=concurrency, admitted=row.status is not None, frozen=row.frozen)


async def repeated(
    connection: AsyncConnection, session_id: str, standing: Standing, concurrency: Concurrency
) -> Admission:
    """The answer to an admission that was committed before."""
    query = select(sessions.c.reserved_minutes).where(sessions.c.session_id == session_id)
    reserved = await connection.scalar(query)
    minutes = await minutes_in(connection, standing.account_id, standing.plan, standing.period)
    return Admission(concurrency=concurrency, minutes_left=minutes.total_remaining, reserved_minutes=reserved)


async def shares_place(connection: AsyncConnection, duplicate_key: str) -> bool:
    """Is there a session that this one would replace? They hold one place together."""
    alike = (sessions.c.duplicate_key == duplicate_key) & sessions.c.ended_at.is_(None)
    return bool(duplicate_key) and await connection.scalar(select(exists().where(alike))) is True


async def hold_avatar(connection: AsyncConnection, avatar_id: str, account_id: str) -> None:
    """Check that the account may use the avatar, and keep it from being deleted until the commit."""
    one = (avatars.c.avatar_id == avatar_id, avatars.c.deleted_at.is_(None))
    query = select(avatars).where(*one).with_for_update(read=True, key_share=True)
    row = (await connection.execute(query)).one_or_none()
    avatar = (
        None
        if row is None
        else Avatar(
            avatar_id=avatar_id,
            account_id=row.account_id,
            primary=AspectRatio(row.primary_ratio),
            portraits={},  # access does not ask for them
            created_at=row.created_at,
        )
    )
    check_access(avatar, account_id)


async def check_place(connection: AsyncConnection, account_id: str, concurrency: Concurrency) -> None:
    """CONCURRENCY_LIMIT_REACHED where every place is taken, with the sessions that take them, newest first."""
    if concurrency.available:
        return
    live = (sessions.c.account_id == account_id, sessions.c.ended_at.is_(None))
    newest = (sessions.c.created_at.desc(), sessions.c.session_id.desc())
    query = select(sessions.c.session_id).where(*live).order_by(*newest).limit(SHOWN_SESSIONS)
    details: dict[str, object] = {"current": concurrency.current, "max": concurrency.max, "available": 0}
    details["sessions"] = list(await connection.scalars(query))
    message = f"All {concurrency.max} concurrent sessions of the plan are in use"
    raise Refused(FailureCode.CONCURRENCY_LIMIT_REACHED, message, details=details)


async def first_slice(connection: AsyncConnection, standing: Standing) -> tuple[Minutes, int | None]:
    """The account's minutes, and how many of them to hold first; INSUFFICIENT_MINUTES where none is left."""
    minutes = await minutes_in(connection, standing.account_id, standing.plan, standing.period)
    if minutes.included is None:
        return minutes, None
    held = next_slice(minutes.free, longest_s=calculate_expiry(standing.plan).enforced_seconds)
    if not held:
        raise Refused(
            FailureCode.INSUFFICIENT_MINUTES,
            "No minutes are left",
            details=told(minutes, standing.period.end.isoformat()),
        )
    return minutes, held


def told(minutes: Minutes, period_end: str) -> dict[str, object]:
    """What a client is told whose minutes are used up."""
    return {
        "included": minutes.included,
        "included_remaining": minutes.included_remaining,
        "purchased_remaining": minutes.purchased_remaining,
        "total_remaining": minutes.total_remaining,
        "reserved_by_sessions": minutes.reserved,
        "period_end": period_end,
    }


async def insert_created(
    connection: AsyncConnection, session_id: str, wanted: Mapping[str, Any], remaining_seconds: float
) -> None:
    """The session's row with its deadline, and its first audit row."""
    if remaining_seconds <= 0:
        raise Refused(FailureCode.CREATE_TIMED_OUT, "The time of this create is up")
    times = {"created_at": db_now(), "deadline_at": from_now(remaining_seconds)}
    row = {"session_id": session_id, "status": SessionStatus.CREATED, **wanted, **times}
    await connection.execute(insert(sessions).values(row))
    await audit(connection, session_id, SessionStep.ADMITTED)
