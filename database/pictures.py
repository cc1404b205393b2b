"""The picture allowance: avatars that an account may make in a period. Reserved before the work, kept by success."""

from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from database.instants import db_now, from_now
from database.standing import Standing
from database.tables import made_avatars
from domain.failures import FailureCode, Refused
from domain.plans import Period, Plan

MAKING_S = 600.0
"""A reservation counts so long without an avatar: longer than any create or upload takes. What dies leaves nothing."""


async def pictures_used(connection: AsyncConnection, account_id: str, period: Period) -> int:
    """How many avatars the account has made in a period, and is making; deleted ones count, failed ones do not."""
    return int(await connection.scalar(select(used_in(account_id, period))) or 0)


def used_in(account_id: str, period: Period) -> ColumnElement[int]:
    """The same as part of a statement."""
    counts = or_(made_avatars.c.made_at.is_not(None), made_avatars.c.reserved_at > from_now(-MAKING_S))
    at = made_avatars.c.reserved_at
    mine = (made_avatars.c.account_id == account_id, at >= period.start, at < period.end, counts)
    return select(func.count()).select_from(made_avatars).where(*mine).scalar_subquery()


def check_paid(plan: Plan) -> None:
    """PLAN_REQUIRED where the plan takes no pictures."""
    if not plan.paid or plan.avatar_allowance == 0:
        raise Refused(FailureCode.PLAN_REQUIRED, f"The plan {plan.name} takes no pictures", details={"plan": plan.key})


def check_allowance(plan: Plan, used: int, period: Period) -> None:
    """AVATAR_LIMIT_REACHED where the period's pictures are used up."""
    limit = plan.avatar_allowance
    if limit is not None and used >= limit:
        details = {"limit": limit, "used": used, "remaining": 0, "period_end": period.end.isoformat()}
        raise Refused(FailureCode.AVATAR_LIMIT_REACHED, f"All {limit} pictures of the period are used", details=details)


async def take_picture(connection: AsyncConnection, avatar_id: str, standing: Standing) -> None:
    """Count an avatar that is about to be made, once; PLAN_REQUIRED or AVATAR_LIMIT_REACHED where it may not be.

    The account's row is locked.
    """
    check_paid(standing.plan)
    if await connection.scalar(select(made_avatars.c.avatar_id).where(made_avatars.c.avatar_id == avatar_id)):
        return
    if standing.plan.avatar_allowance is not None:
        used = await pictures_used(connection, standing.account_id, standing.period)
        check_allowance(standing.plan, used, standing.period)
    row = {"avatar_id": avatar_id, "account_id": standing.account_id, "reserved_at": db_now()}
    await connection.execute(insert(made_avatars).values(row))


async def keep_picture(connection: AsyncConnection, avatar_id: str) -> None:
    """The avatar was made: it counts for good. One that nobody reserved, such as an operator's, does not count."""
    await connection.execute(_one(update(made_avatars), avatar_id).values(made_at=db_now()))


async def return_picture(connection: AsyncConnection, avatar_id: str) -> None:
    """The avatar was not made, or not needed: it does not count."""
    await connection.execute(_one(delete(made_avatars), avatar_id))


def _one(statement: Any, avatar_id: str) -> Any:
    return statement.where(made_avatars.c.avatar_id == avatar_id)
