"""An account as it stands: its plan, the period that runs, and the lock that admissions and bills stand in line for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from database.accounts import no_account, plan_columns
from database.freezes import GATE, gate_of
from database.instants import db_now
from database.tables import accounts, plans, sessions
from domain.failures import FailureCode, Refused
from domain.plans import Period, Plan, period_at


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What an account may do now."""

    account_id: str
    plan: Plan
    period: Period
    closed_at: datetime | None
    requires: Mapping[str, str]
    """Labels that servers of its sessions must have: its plan's, and its own before those."""

    def check_open(self) -> None:
        """ACCOUNT_CLOSED where it was closed."""
        if self.closed_at is not None:
            raise Refused(FailureCode.ACCOUNT_CLOSED, "The account is closed")


async def standing_of(
    connection: AsyncConnection, account_id: str, *, lock: bool = False, admits: bool = False
) -> Standing:
    """The account's standing; NOT_FOUND without it. With `lock` nobody else admits or bills until the commit.

    With `admits` nobody freezes admissions until then either.
    """
    one, gate = accounts.c.account_id == account_id, gate_of(connection) if admits else ()
    standing = await _standing(connection, one, lock=lock, gate=gate)
    if standing is None:
        raise no_account()
    return standing


async def standing_of_session(connection: AsyncConnection, session_id: str, *, lock: bool = False) -> Standing | None:
    """The standing of a session's account; None without the session. The account is locked before the session."""
    owner = select(sessions.c.account_id).where(sessions.c.session_id == session_id).scalar_subquery()
    return await _standing(connection, accounts.c.account_id == owner, lock=lock)


async def _standing(
    connection: AsyncConnection, one: ColumnElement[bool], *, lock: bool, gate: Sequence[ColumnElement[Any]] = ()
) -> Standing | None:
    since = func.coalesce(accounts.c.plan_since, accounts.c.created_at).label("since")
    extra = (
        accounts.c.account_id,
        accounts.c.closed_at,
        since,
        db_now().label("now"),
        accounts.c.requires.label("own"),
    )
    query = select(*plan_columns(), *extra, *gate).select_from(accounts.join(plans)).where(one)
    if lock:
        query = query.with_for_update(of=accounts, key_share=True)
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        return None
    values = {name: value for name, value in row.items() if name != GATE}
    since_at, now = values.pop("since"), values.pop("now")
    account_id, closed_at = values.pop("account_id"), values.pop("closed_at")
    own = values.pop("own")
    plan = Plan(**values)
    requires = {**(plan.requires or {}), **(own or {})}
    period = period_at(now, since_at, paid=plan.paid)
    return Standing(account_id=account_id, plan=plan, period=period, closed_at=closed_at, requires=requires)
