"""Who stands still, by counters that are looked at: nobody is accused whose database may be what stands still."""

import pytest

from domain.pulses import Pulses


def watched(until: float, *, a_until: float, b_until: float = 1e9, every: float = 0.3) -> tuple[Pulses, float]:
    """Looks at two servers that renew at each full second, each until some moment; the observer, and its last look."""
    pulses, now = Pulses(), 0.0
    while now <= until:
        pulses.saw({"a": int(min(now, a_until)), "b": int(min(now, b_until))}, now)
        last, now = now, now + every
    return pulses, last


def test_a_silent_server_stands_still_since_its_last_renewal() -> None:
    """Seconds since its counter was seen to move, a look's length late at most; one that renews is not silent."""
    pulses, now = watched(14, a_until=10)
    assert pulses.still_s("a", now) == pytest.approx(now - 10, abs=0.31)
    assert pulses.still_s("b", now) == 0


@pytest.mark.parametrize("stood_s", [0.5, 1.0, 2.0])
def test_a_server_that_stood_still_for_two_seconds_was_not_silent_for_three_and_a_half(stood_s: float) -> None:
    """Whenever in its second it stops: it renews at once when it goes on."""
    for stopped_at in (10.0, 10.3, 10.6, 10.99):
        pulses, now, longest = Pulses(), 0.0, 0.0
        while now < 20:
            standing = stopped_at <= now < stopped_at + stood_s
            a = int(stopped_at) if standing else int(now)
            pulses.saw({"a": a, "b": int(now)}, now)
            longest = max(longest, pulses.still_s("a", now))
            now += 0.3
        assert longest <= stood_s + 1.3
        assert longest < 3.5


def test_a_database_that_takes_nothing_accuses_nobody() -> None:
    """It is read, and nobody can write to it: all stand still at once. Nor is a server accused that is the only one."""
    pulses, now = watched(30, a_until=10, b_until=10)
    assert pulses.still_s("a", now) == pulses.still_s("b", now) == 0
    alone = Pulses()
    for second in range(20):
        alone.saw({"a": min(second, 5)}, second)
    assert alone.still_s("a", 20) == 0


def test_a_database_that_comes_back_is_given_time() -> None:
    """After a look that was not answered, five seconds of answers; whoever renews first vouches for nothing before."""
    pulses, now = watched(20, a_until=10)
    pulses.missed()
    assert pulses.still_s("a", now) == 0
    for step in range(1, 20):
        pulses.saw({"a": 10, "b": 20 + step}, now + step * 0.3)
        still = pulses.still_s("a", now + step * 0.3)
        assert (still > 0) == (step * 0.3 - 0.3 >= 5), step
        assert still <= step * 0.3


def test_an_observer_that_stood_still_itself_knows_nothing() -> None:
    """Looks more than two seconds apart say nothing together."""
    pulses, now = watched(20, a_until=10)
    pulses.saw({"a": 10, "b": 23}, now + 3)
    assert pulses.still_s("a", now + 3) == 0


def test_a_server_that_nobody_knows_is_not_accused() -> None:
    """It was taken off the list; what its lease says counts."""
    pulses, now = watched(20, a_until=10)
    assert pulses.still_s("c", now) == 0
