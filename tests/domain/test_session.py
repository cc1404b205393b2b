"""A session's timers: in every state there is one that leads out of it (invariant I6)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.avatars import AspectRatio
from domain.session import EndReason, Life, LifeTimers, RoomOccupancy, Session, SessionStatus

START = datetime(2024, 1, 15, 10, 30, tzinfo=UTC)


def after(seconds: float) -> datetime:
    """A moment so long after the start."""
    return START + timedelta(seconds=seconds)


def life(ends_after: float = 3600) -> Life:
    """A life with short timers."""
    timers = LifeTimers(nobody_joined=timedelta(seconds=120), participants_left=timedelta(seconds=20))
    return Life(started_at=START, enforced_end=after(ends_after), timers=timers)


NOBODY_YET = RoomOccupancy()
ONLY_AGENTS = RoomOccupancy().seen(0, after(5))
SOMEBODY = RoomOccupancy().seen(1, after(5))
LEFT = SOMEBODY.seen(0, after(100))
BACK = LEFT.seen(2, after(110))
LEFT_AGAIN = BACK.seen(0, after(200))


@pytest.mark.parametrize(
    ("occupancy", "seconds", "reason"),
    [
        (NOBODY_YET, 120, EndReason.NOBODY_JOINED),
        (ONLY_AGENTS, 120, EndReason.NOBODY_JOINED),
        (SOMEBODY, 3600, EndReason.EXPIRED),
        (LEFT, 120, EndReason.PARTICIPANTS_LEFT),
        (BACK, 3600, EndReason.EXPIRED),
        (LEFT_AGAIN, 220, EndReason.PARTICIPANTS_LEFT),
    ],
    ids=["nobody-yet", "only-agents", "somebody", "left", "back", "left-again"],
)
def test_each_state_of_the_room_has_its_timer(occupancy: RoomOccupancy, seconds: float, reason: EndReason) -> None:
    """The timer that fires first, and what it ends the session as."""
    due = life().next_due(occupancy)
    assert (due.at, due.reason) == (after(seconds), reason)


@pytest.mark.parametrize("occupancy", [NOBODY_YET, ONLY_AGENTS, SOMEBODY, LEFT, BACK, LEFT_AGAIN])
def test_no_state_outlives_the_enforced_end(occupancy: RoomOccupancy) -> None:
    """Whatever the room does, a session that may last a minute ends after a minute, as expired."""
    due = life(ends_after=60).next_due(occupancy)
    assert (due.at, due.reason) == (after(60), EndReason.EXPIRED)


def test_the_plans_end_wins_a_tie() -> None:
    """Where two timers fire together the session has expired: its client was told that moment."""
    assert life(ends_after=120).next_due(NOBODY_YET).reason == EndReason.EXPIRED


def test_the_grace_counts_from_the_moment_the_last_one_left() -> None:
    """Reports of a room that stays empty do not begin the grace anew."""
    still = LEFT.seen(0, after(105)).seen(0, after(119))
    assert life().next_due(still).at == after(120)


def test_an_agent_who_waits_is_no_reason_for_the_grace() -> None:
    """Nobody was ever there, so nobody has left: an empty room before the first guest keeps the longer timer."""
    assert life().next_due(ONLY_AGENTS.seen(0, after(60))).reason == EndReason.NOBODY_JOINED


SESSION = Session(
    session_id="sess_1",
    account_id="acct_1",
    avatar_id="avat_1",
    status=SessionStatus.STARTED,
    aspect_ratio=AspectRatio.SQUARE,
    metadata={},
    created_at=START,
)


@pytest.mark.parametrize(
    ("times", "now", "seconds"),
    [
        ({}, after(50), 0),
        ({"started_at": after(2)}, after(2), 0),
        ({"started_at": after(2)}, after(11.9), 9),
        ({"started_at": after(2), "ended_at": after(62)}, after(5000), 60),
        ({"ended_at": after(9)}, after(50), 0),
        ({"started_at": after(2)}, after(1.5), 0),
    ],
    ids=["never-started", "at-once", "running", "ended", "failed", "clock-behind"],
)
def test_the_duration_is_whole_seconds_since_the_start(times: dict[str, datetime], now: datetime, seconds: int) -> None:
    """It stands still after the end, and is 0 for a session that never started; clients read an integer."""
    found = replace(SESSION, started_at=times.get("started_at"), ended_at=times.get("ended_at")).duration_seconds(now)
    assert found == seconds
    assert type(found) is int


def test_a_room_that_is_deleted_after_everybody_left_ends_as_their_leaving() -> None:
    """LiveKit deletes rooms that people have left; a deletion under somebody's eyes stays a deletion."""
    there = RoomOccupancy().seen(1, START)
    gone = there.seen(0, START)
    assert gone.explain(EndReason.ROOM_DELETED) == EndReason.PARTICIPANTS_LEFT
    assert there.explain(EndReason.ROOM_DELETED) == EndReason.ROOM_DELETED
    assert RoomOccupancy().seen(0, START).explain(EndReason.ROOM_DELETED) == EndReason.ROOM_DELETED
    assert gone.explain(EndReason.REMOVED) == EndReason.REMOVED


WITH_AGENT = RoomOccupancy().seen(1, after(5), agent_there=True)
WITHOUT_AGENT = WITH_AGENT.seen(1, after(100), agent_there=False, agent_gone_for=timedelta(seconds=4))


def test_an_agent_that_stays_away_ends_the_session() -> None:
    """The grace counts from its leaving, not from the report of it; reports that follow do not begin it anew."""
    still = WITHOUT_AGENT.seen(2, after(110), agent_there=False, agent_gone_for=timedelta(seconds=14))
    due = life().next_due(still)
    assert (due.at, due.reason) == (after(116), EndReason.AGENT_LEFT)


@pytest.mark.parametrize(
    "occupancy",
    [
        WITHOUT_AGENT.seen(1, after(105), agent_there=True),
        RoomOccupancy().seen(1, after(5), agent_there=False),
        SOMEBODY.seen(1, after(9), agent_there=None),
    ],
    ids=["back", "never-there", "no-name"],
)
def test_only_an_agent_that_was_there_can_have_left(occupancy: RoomOccupancy) -> None:
    """One that is back, one that never came and one that no token names end nothing."""
    assert life().next_due(occupancy).reason == EndReason.EXPIRED


def test_an_absence_that_was_reported_late_is_as_long_as_it_is() -> None:
    """The room is reported as empty some seconds after it is: the grace counts from its emptiness."""
    gone = SOMEBODY.seen(0, after(100), empty_for=timedelta(seconds=5))
    assert life().next_due(gone).at == after(115)


def test_what_counts_as_gone_follows_the_graces() -> None:
    """A quarter of the shortest grace, five seconds at most."""
    assert LifeTimers().settle == timedelta(seconds=5)
    assert LifeTimers(agent_left=timedelta(seconds=2)).settle == timedelta(seconds=0.5)
