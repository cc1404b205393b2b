"""An account's minutes as statements: what its plan includes, what was bought, what sessions hold. Locks nothing."""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, and_, case, cast, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from database.instants import db_now
from database.tables import charges, leases, minute_packs, sessions
from domain.billing import Minutes
from domain.plans import Period, Plan

_MS = 60_000


async def minutes_in(connection: AsyncConnection, account_id: str, plan: Plan, period: Period) -> Minutes:
    """The account's minutes now. Of a plan without limit only what was used."""
    bought = open_packs(account_id)
    columns = {
        "included_used": _sum(charges.c.included_minutes, charged_in(account_id, period)),
        "purchased": _sum(minute_packs.c.minutes_left, bought),
        "purchased_total": _sum(minute_packs.c.minutes, bought),
        "reserved": _sum(sessions.c.reserved_minutes, _live(account_id)),
        "active": _active(account_id),
    }
    row = (await connection.execute(select(*[column.label(name) for name, column in columns.items()]))).one()
    return Minutes(included=plan.included_minutes, **{name: int(value) for name, value in row._asdict().items()})


def open_packs(account_id: str) -> ColumnElement[bool]:
    """The packs that something is left of and that have not expired."""
    unexpired = or_(minute_packs.c.expires_at.is_(None), minute_packs.c.expires_at > db_now())
    return and_(minute_packs.c.account_id == account_id, minute_packs.c.minutes_left > 0, unexpired)


def charged_in(account_id: str, period: Period) -> ColumnElement[bool]:
    """The account's bills of a period."""
    return and_(
        charges.c.account_id == account_id, charges.c.charged_at >= period.start, charges.c.charged_at < period.end
    )


def served_ms_of(session_id: ColumnElement[str] | str) -> ColumnElement[int]:
    """The milliseconds that a session was served by all its generations: a gap between them is in none."""
    total = func.coalesce(func.sum(leases.c.served_ms), 0)
    # PostgreSQL sums BIGINT to NUMERIC, whose division leaves a fraction.
    return cast(select(total).where(leases.c.session_id == session_id).scalar_subquery(), BigInteger)


def _active(account_id: str) -> ColumnElement[int]:
    """The minutes that the running sessions were served, each rounded up; none of those that nobody has joined."""
    attended = and_(_live(account_id), sessions.c.attended_at.is_not(None))
    served = select(
        sessions.c.reserved_minutes.label("held"),
        ((served_ms_of(sessions.c.session_id) + _MS - 1) // _MS).label("minutes"),
    ).where(attended)
    each = served.subquery()
    return select(func.coalesce(func.sum(_least(each.c.minutes, each.c.held)), 0)).scalar_subquery()


def _least(minutes: ColumnElement[int], held: ColumnElement[Any]) -> ColumnElement[int]:
    """The smaller; `held` NULL is no bound."""
    return case((held < minutes, held), else_=minutes)


def _live(account_id: str) -> ColumnElement[bool]:
    return and_(sessions.c.account_id == account_id, sessions.c.ended_at.is_(None))


def _sum(column: ColumnElement[Any], where: ColumnElement[bool]) -> ColumnElement[int]:
    return select(func.coalesce(func.sum(column), 0)).where(where).scalar_subquery()
