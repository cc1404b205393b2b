"""What a stay hangs on: its server's word, and the session's end."""

import asyncio
from dataclasses import dataclass, field

import pytest

from domain.leases import Stop
from domain.session import EndReason
from presence import holding
from presence.holding import SILENT_S, SLACK_S, Hold


@dataclass(kw_only=True)
class Stay:
    """A hold with a clock of its own; what it tells and asks."""

    now: float = 1000.0
    warnings: list[tuple[str, int]] = field(default_factory=list)
    questions: int = 0

    def __post_init__(self) -> None:
        self.hold = Hold(self._warn, self._ask, lambda: self.now)

    async def _warn(self, reason: str, seconds_left: int) -> None:
        self.warnings.append((reason, seconds_left))

    def _ask(self) -> None:
        self.questions += 1

    async def pass_time(self, seconds: float, *, step: float = 0.5, renewed: bool = True) -> EndReason | None:
        """Let time pass in steps, with a renewal in each; why the stay is over, if it is."""
        over = asyncio.ensure_future(self.hold.wait_over())
        until = self.now + seconds
        while self.now < until and not over.done():
            self.now += step
            if renewed and self.stop is not None:
                self.hold.renewed(Stop(in_s=self.stop - self.now, reason="expired"))
            elif renewed:
                self.hold.renewed(None)
            await asyncio.sleep(0.002)
        if over.done():
            return over.result()
        over.cancel()
        return None

    stop: float | None = None


@pytest.fixture(autouse=True)
def faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks at once."""
    monkeypatch.setattr(holding, "_LOOK_EVERY_S", 0.0)


async def test_the_room_is_warned_twice_and_the_stay_ends_by_itself() -> None:
    """60 s and 10 s before the end; and 5 s after it, if nobody has ended the session."""
    stay = Stay(stop=1100.0)
    assert await stay.pass_time(200) == EndReason.EXPIRED
    assert stay.warnings == [("expired", 60), ("expired", 10)]
    assert 1100 + SLACK_S < stay.now <= 1100 + SLACK_S + 1.5


async def test_a_later_end_is_warned_of_anew() -> None:
    """An extension takes the warning back: there are two more before the new end."""
    stay = Stay(stop=1050.0)
    await stay.pass_time(45)
    assert stay.warnings == [("expired", 50), ("expired", 10)]
    stay.stop = 1200.0
    await stay.pass_time(150)
    assert stay.warnings[2:] == [("expired", 60), ("expired", 10)]


async def test_a_short_session_is_warned_at_once() -> None:
    """What is less than ten seconds away is said once, with what is left."""
    stay = Stay(stop=1004.5)
    assert await stay.pass_time(20) == EndReason.EXPIRED
    assert stay.warnings == [("expired", 4)]


async def test_a_session_whose_server_says_nothing_more_leaves() -> None:
    """A server that has been silent for a minute has lost its sessions; the known end still counts before."""
    stay = Stay()
    assert await stay.pass_time(SILENT_S - 2, renewed=False) is None
    assert await stay.pass_time(5, renewed=False) == EndReason.SERVER_LOST
    lone = Stay(stop=1010.0)
    lone.hold.renewed(Stop(in_s=10, reason="minutes_exhausted"))
    assert await lone.pass_time(30, renewed=False) == "minutes_exhausted"


async def test_who_was_stopped_asks() -> None:
    """After seconds without a look another generation may be there: that is asked at once, and once."""
    stay = Stay()
    await stay.pass_time(2)
    assert stay.questions == 0
    await stay.pass_time(10, step=5)
    assert stay.questions == 2
