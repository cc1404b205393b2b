"""When a batch is run: whoever speaks is waited for, a little; it holds no clock and runs nothing."""

from typing import Generic, TypeVar

Seat = TypeVar("Seat")

WINDOW_S = 0.01
"""The first to ask waits no longer for the others."""
TALKING_S = 0.1
"""Who asked so lately will ask again soon."""


class Gathering(Generic[Seat]):
    """Who waits for a mouth. Times come from outside, in seconds."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: list[Seat] = []
        self._since = 0.0
        self._asked: dict[Seat, float] = {}

    def add(self, seat: Seat, now: float) -> None:
        """A seat asks. It does not ask again before it was taken."""
        if not self._waiting:
            self._since = now
        self._waiting.append(seat)
        self._asked[seat] = now

    def drop(self, seat: Seat) -> None:
        """A seat is gone."""
        self._waiting = [one for one in self._waiting if one is not seat]
        self._asked.pop(seat, None)

    def wait_s(self, now: float) -> float | None:
        """How long until the batch should be run, 0 for now; None if nobody waits."""
        if not self._waiting:
            return None
        talking = sum(now - asked < TALKING_S for asked in self._asked.values())
        if len(self._waiting) >= min(self._most, talking):
            return 0.0
        return max(self._since + WINDOW_S - now, 0.0)

    def take(self) -> list[Seat]:
        """The batch, first come first served."""
        taken, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        return taken
