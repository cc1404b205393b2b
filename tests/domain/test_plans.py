"""Plans: how long a session may last, and how many places are left."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.plans import Concurrency, Period, Plan, calculate_expiry, expires_at, period_at

DAY = 24 * 3600
START = datetime(2024, 1, 15, 10, 30, tzinfo=UTC)


def plan(seconds: int | None) -> Plan:
    """A plan with such a session length."""
    return Plan(key="p", name="P", max_session_seconds=seconds, max_concurrent_sessions=3)


@pytest.mark.parametrize(
    ("limit", "told", "enforced"),
    [(None, None, DAY), (600, 600, 600), (DAY, DAY, DAY), (DAY + 1, DAY + 1, DAY), (7 * DAY, 7 * DAY, DAY)],
)
def test_no_plan_outlives_the_hard_cap(limit: int | None, told: float | None, enforced: float) -> None:
    """A plan without a limit tells its client none, and ends after a day all the same (design rule 15)."""
    expiry = calculate_expiry(plan(limit))
    assert (expiry.plan_seconds, expiry.enforced_seconds) == (told, enforced)


def test_an_expiry_counts_from_the_start() -> None:
    """No limit stays no limit."""
    assert expires_at(START, 90.5) == START + timedelta(seconds=90.5)
    assert expires_at(START, 0) == START
    assert expires_at(START, None) is None


@pytest.mark.parametrize(("current", "most", "available"), [(0, 3, 3), (2, 3, 1), (3, 3, 0), (5, 3, 0)])
def test_available_places_are_never_negative(current: int, most: int, available: int) -> None:
    """A plan that was lowered below what runs has none left, not fewer than none."""
    assert Concurrency(current=current, max=most).available == available


@pytest.mark.parametrize(
    ("now", "since", "paid", "start", "end"),
    [
        ("2026-03-15", "2026-01-31", False, "2026-03-01", "2026-04-01"),
        ("2026-12-31", "2026-01-31", False, "2026-12-01", "2027-01-01"),
        ("2026-01-10", "2026-01-10", True, "2026-01-10", "2026-02-10"),
        ("2026-02-09", "2026-01-10", True, "2026-01-10", "2026-02-10"),
        ("2026-02-10", "2026-01-10", True, "2026-02-10", "2026-03-10"),
        ("2026-02-28", "2026-01-31", True, "2026-02-28", "2026-03-31"),
        ("2026-03-30", "2026-01-31", True, "2026-02-28", "2026-03-31"),
        ("2027-01-05", "2026-12-20", True, "2026-12-20", "2027-01-20"),
        ("2026-01-05", "2026-03-10", True, "2025-12-10", "2026-01-10"),
    ],
)
def test_a_period_is_a_month(now: str, since: str, paid: bool, start: str, end: str) -> None:
    """The calendar's, or with a paid plan from the day of the subscription, or the last day of a shorter month."""

    def day(text: str) -> datetime:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)

    assert period_at(day(now), day(since), paid=paid) == Period(start=day(start), end=day(end))
