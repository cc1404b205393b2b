"""An account as it stands: its plan, the period that runs, and the lock that admissions and bills stand in line for."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from database.accounts import no_account, plan_columns
from database.instants import db_now
from database.tables import accounts, plans
from domain.failures import FailureCode, Refused
from domain.plans import Period, Plan, period_at


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What an account may do now."""

    account_id: str
    plan: Plan
    period: Period
    closed_at: datetime | None

    def check_open(self) -> None:
        """ACCOUNT_CLOSED where it was closed."""
        if self.closed_at is not None:
            raise Refused(FailureCode.ACCOUNT_CLOSED, "The account is closed")


async def standing_of(connection: AsyncConnection, account_id: str, *, lock: bool = False) -> Standing:
    """The account's standing; NOT_FOUND without it. With `lock` nobody else admits or bills until the commit."""
    since = func.coalesce(accounts.c.plan_since, accounts.c.created_at).label("since")
    extra = (accounts.c.closed_at, since, db_now().label("now"))
    query = select(*plan_columns(), *extra).select_from(accounts.join(plans))
    query = query.where(accounts.c.account_id == account_id)
    row = (
        (await connection.execute(query.with_for_update(of=accounts, key_share=True) if lock else query))
        .mappings()
        .one_or_none()
    )
    if row is None:
        raise no_account()
    values = dict(row)
    since_at, now, closed_at = values.pop("since"), values.pop("now"), values.pop("closed_at")
    plan = Plan(**values)
    period = period_at(now, since_at, paid=plan.paid)
    return Standing(account_id=account_id, plan=plan, period=period, closed_at=closed_at)
