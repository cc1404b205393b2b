"""Plans: how long a session may last, how many may run at once, and what a period includes."""

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

HARD_CAP = timedelta(hours=24)
"""No session outlives this, whatever its plan says: a state without a way out would be a leak."""

UNLIMITED = 1_000_000
"""What an unlimited number shows as; clients expect a number."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What an account may do."""

    key: str
    name: str
    max_session_seconds: int | None
    """None: no limit but the hard cap."""
    max_concurrent_sessions: int
    included_minutes: int | None = None
    """A period; None: no limit, and nothing is reserved."""
    avatar_allowance: int | None = None
    """Avatars that may be made of pictures in a period; None: no limit."""
    requests_per_minute: int | None = None
    """None: as the settings say."""
    paid: bool = True
    """Pictures may be sent, and the period is a subscription's; without, the period is the calendar's month."""
    nobody_joined_s: float | None = None
    """This and the two that follow are timers of a session's life; None: as the settings say."""
    participants_left_s: float | None = None
    agent_left_s: float | None = None
    requires: Mapping[str, str] | None = None
    """Labels that servers of its sessions must have."""


@dataclass(frozen=True, kw_only=True)
class Period:
    """The time that a plan's minutes and pictures are counted in: from `start` until before `end`."""

    start: datetime
    end: datetime


def period_at(now: datetime, since: datetime, *, paid: bool) -> Period:
    """The period that a moment falls into: months from the day of the subscription, else the calendar's; all in UTC.

    A subscription of the 31st begins its periods on the last day of shorter months.
    """
    day = since.astimezone(UTC) if paid else datetime(2000, 1, 1, tzinfo=UTC)
    now = now.astimezone(UTC)
    months = (now.year - day.year) * 12 + now.month - day.month
    months -= _months_after(day, months) > now
    return Period(start=_months_after(day, months), end=_months_after(day, months + 1))


def _months_after(day: datetime, months: int) -> datetime:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return day.replace(year=year, month=month + 1, day=min(day.day, monthrange(year, month + 1)[1]))


@dataclass(frozen=True, kw_only=True)
class Expiry:
    """When a session that starts must end: what its client is told, and what is enforced."""

    plan_seconds: float | None
    """The plan's limit, or None."""
    enforced_seconds: float
    """The limit that the workflow's timer uses: the plan's, or the hard cap."""


def calculate_expiry(plan: Plan) -> Expiry:
    """The expiry of a session under `plan`, counted from its start (design rule 15)."""
    cap = HARD_CAP.total_seconds()
    if plan.max_session_seconds is None:
        return Expiry(plan_seconds=None, enforced_seconds=cap)
    return Expiry(plan_seconds=plan.max_session_seconds, enforced_seconds=min(plan.max_session_seconds, cap))


def shorter(plan_seconds: float | None, wanted_seconds: float | None) -> float | None:
    """The limit of a session that asked to be shorter than its plan allows; None where there is neither."""
    return min((limit for limit in (plan_seconds, wanted_seconds) if limit is not None), default=None)


def expires_at(started_at: datetime, seconds: float | None) -> datetime | None:
    """The moment `seconds` after the start; None stays None."""
    return None if seconds is None else started_at + timedelta(seconds=seconds)


@dataclass(frozen=True, kw_only=True)
class Concurrency:
    """How many sessions an account runs, and how many it may."""

    current: int
    max: int

    @property
    def available(self) -> int:
        """How many more it may start."""
        return max(self.max - self.current, 0)
