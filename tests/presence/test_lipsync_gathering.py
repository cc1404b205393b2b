"""When the host runs a batch."""

import pytest

from presence.renderers.lipsync.gathering import Gathering


def test_who_talks_alone_does_not_wait() -> None:
    """With nobody else talking there is nobody to wait for."""
    gathering: Gathering[str] = Gathering(8)
    assert gathering.wait_s(0.0) is None
    gathering.add("one", 1.0)
    assert gathering.wait_s(1.0) == 0
    assert gathering.take() == ["one"]
    assert gathering.wait_s(1.0) is None


def test_another_talker_is_waited_for_ten_milliseconds() -> None:
    """Who asked within the last tenth of a second is expected, but not for long."""
    gathering: Gathering[str] = Gathering(8)
    for seat in ("one", "two"):
        gathering.add(seat, 1.0)
    gathering.take()
    gathering.add("one", 1.04)
    assert gathering.wait_s(1.04) == pytest.approx(0.01)
    gathering.add("two", 1.045)
    assert gathering.wait_s(1.045) == 0
    assert gathering.take() == ["one", "two"]
    gathering.add("one", 1.08)
    assert gathering.wait_s(1.091) == 0


def test_who_fell_silent_or_left_is_not_waited_for() -> None:
    """A seat that asked long ago counts no more, nor does one that is gone."""
    gathering: Gathering[str] = Gathering(8)
    for seat in ("one", "two", "three"):
        gathering.add(seat, 1.0)
    gathering.take()
    gathering.add("three", 1.15)
    gathering.drop("three")
    assert gathering.wait_s(1.15) is None
    gathering.add("one", 1.2)
    assert gathering.wait_s(1.2) == 0


def test_a_full_batch_is_run_at_once_and_the_rest_after_it() -> None:
    """No batch is larger than the most, and nobody is forgotten."""
    gathering: Gathering[int] = Gathering(8)
    for seat in range(11):
        gathering.add(seat, 1.0)
    assert gathering.wait_s(1.0) == 0
    assert gathering.take() == list(range(8))
    assert gathering.wait_s(1.01) == 0
    assert gathering.take() == [8, 9, 10]
