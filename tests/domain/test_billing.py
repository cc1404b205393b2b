"""Minutes: what is reserved, what is billed, and from which pot."""

import pytest

from domain.billing import Charge, Minutes, Pack, charge, minutes_of, next_slice
from domain.plans import UNLIMITED


@pytest.mark.parametrize(
    ("served_ms", "minutes"), [(0, 0), (1, 1), (60_000, 1), (60_001, 2), (450_000, 8), (600_000, 10)]
)
def test_served_time_is_rounded_up_once(served_ms: int, minutes: int) -> None:
    """450 seconds are 8 minutes, as the contract has it; nothing served is nothing."""
    assert minutes_of(served_ms) == minutes


def test_a_slice_is_ten_minutes_or_what_is_left() -> None:
    """And no more than the session can use."""
    assert [next_slice(free) for free in (25, 10, 4, 0, -3)] == [10, 10, 4, 0, 0]
    assert [next_slice(25, longest_s=longest) for longest in (90, 600, 86_400)] == [2, 10, 10]


def test_a_session_that_lasts_takes_more_slices_where_there_is_plenty() -> None:
    """Not from the start, and not from an account that would miss them: an hour is ten, twenty and thirty minutes."""
    assert [next_slice(100, held=held) for held in (0, 10, 30, 60)] == [10, 20, 30, 30]
    assert next_slice(99, held=30) == 10


def test_what_is_shown_as_left_counts_running_sessions_but_no_reservations() -> None:
    """The plan's minutes bear them first, then what was bought."""
    minutes = Minutes(included=20, included_used=12, purchased=30, purchased_total=40, reserved=20, active=11)
    assert (minutes.included_remaining, minutes.purchased_remaining, minutes.total_remaining) == (0, 27, 27)
    assert minutes.free == 18
    assert minutes.active_included == 8


def test_a_plan_without_limit_shows_numbers() -> None:
    """However much was used."""
    minutes = Minutes(included=None, included_used=5000, active=3, purchased=7)
    assert (minutes.free, minutes.included_remaining, minutes.total_remaining) == (UNLIMITED,) * 3
    assert minutes.purchased_remaining == 7


PACKS = [Pack(pack_id="first", left=3), Pack(pack_id="second", left=5)]


@pytest.mark.parametrize(
    ("included_left", "included", "packs"),
    [
        (None, 10, {}),
        (10, 10, {}),
        (4, 4, {"first": 3, "second": 3}),
        (8, 8, {"first": 2}),
        (0, 2, {"first": 3, "second": 5}),
    ],
)
def test_included_minutes_come_first_then_packs_in_their_order(
    included_left: int | None, included: int, packs: dict[str, int]
) -> None:
    """What neither covers, since a plan was lowered meanwhile, the plan bears: nothing is billed to nobody."""
    found = charge(600_000, included_left=included_left, packs=PACKS, reserved=10)
    assert found == Charge(served_ms=600_000, minutes=10, included=included, packs=packs)
    assert found.included + found.purchased == found.minutes


def test_no_more_is_billed_than_was_reserved() -> None:
    """The second in which the avatar leaves after its last minute is ours; without a reservation there is no bound."""
    assert charge(600_900, included_left=99, packs=[], reserved=10).minutes == 10
    assert charge(600_900, included_left=99, packs=[], reserved=None).minutes == 11
