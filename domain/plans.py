"""Plans: how long a session may last and how many may run at once."""

from dataclasses import dataclass
from datetime import datetime, timedelta

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
