"""How usage looks to clients."""

from msgspec.structs import replace

from api.views import concurrency_view, session_view
from contracts.http import (
    AccountUsageView,
    AvatarUsageView,
    IncludedMinutesView,
    PeriodView,
    PlanView,
    PurchasedMinutesView,
    instant,
)
from database.usage import Usage
from domain.billing import minutes_of
from domain.plans import UNLIMITED

ACTIVE = "active"
"""What the contract calls a running session here."""


def account_usage_view(usage: Usage) -> AccountUsageView:
    """An account's usage as a client sees it."""
    minutes = usage.minutes
    included = UNLIMITED if minutes.included is None else minutes.included
    return AccountUsageView(
        period=PeriodView(start=instant(usage.period.start), end=instant(usage.period.end)),
        included_minutes=IncludedMinutesView(
            total=included,
            used=minutes.included_used + minutes.active_included,
            remaining=minutes.included_remaining,
        ),
        purchased_minutes=PurchasedMinutesView(total=minutes.purchased_total, remaining=minutes.purchased_remaining),
        total_remaining=minutes.total_remaining,
        active_sessions=[replace(session_view(session), status=ACTIVE) for session in usage.sessions],
        active_minutes=minutes.active,
        concurrency=concurrency_view(usage.concurrency),
        avatars=_avatars(usage),
        plan=PlanView(
            key=usage.plan.key,
            name=usage.plan.name,
            max_session_duration=_minutes(usage.plan.max_session_seconds),
        ),
    )


def _avatars(usage: Usage) -> AvatarUsageView:
    limit = usage.plan.avatar_allowance if usage.plan.paid else 0
    remaining = None if limit is None else max(limit - usage.pictures, 0)
    return AvatarUsageView(limit=limit, used=usage.pictures, remaining=remaining)


def _minutes(seconds: int | None) -> int | None:
    return None if seconds is None else minutes_of(seconds * 1000)
