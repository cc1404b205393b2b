"""The parts of an admission, in their order: each statement sees what the locks before it settled."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from database.accounts import no_account, places_taken
from database.audit import SessionStep, audit, refusal_of_ended
from database.instants import db_now, from_now
from database.tables import accounts, avatars, plans, sessions
from domain.avatars import AspectRatio, Avatar, check_access
from domain.failures import FailureCode, Refused
from domain.plans import Concurrency
from domain.session import SessionStatus


async def lock_account(connection: AsyncConnection, account_id: str) -> int:
    """Make the account's admissions stand in line; how many places it has."""
    query = select(plans.c.max_concurrent_sessions).join(accounts).where(accounts.c.account_id == account_id)
    places = await connection.scalar(query.with_for_update(of=accounts))
    if places is None:
        raise no_account()
    return int(places)


async def count_places(
    connection: AsyncConnection, session_id: str, account_id: str, places: int
) -> tuple[Concurrency, bool]:
    """The account's concurrency, and whether the session is in it already; one that has ended is refused."""
    mine = sessions.c.session_id == session_id
    status = select(sessions.c.status).where(mine).scalar_subquery()
    reason = select(sessions.c.end_reason).where(mine).scalar_subquery()
    query = select(places_taken(account_id), status.label("status"), reason.label("end_reason"))
    row = (await connection.execute(query)).one()
    if row.status == SessionStatus.ENDED:
        raise refusal_of_ended(row.end_reason, otherwise=FailureCode.CREATE_CANCELLED)
    return Concurrency(current=row.places_taken, max=places), row.status is not None


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


def check_place(concurrency: Concurrency) -> None:
    """CONCURRENCY_LIMIT_REACHED where every place is taken."""
    if concurrency.available == 0:
        details = {"current": concurrency.current, "max": concurrency.max, "available": 0}
        message = f"All {concurrency.max} concurrent sessions of the plan are in use"
        raise Refused(FailureCode.CONCURRENCY_LIMIT_REACHED, message, details=details)


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
