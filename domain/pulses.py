"""Which avatar servers stand still, by looking at their renewal counters again and again (design rule 9)."""

from collections.abc import Mapping

UNBROKEN_S = 2.0
"""Looks that are further apart say nothing together: whoever looks may have stood still itself."""
SETTLED_S = 5.0
"""A database that has just come back has not heard from anybody yet."""
VOUCHED_S = 1.5
"""The database took somebody else's renewal so long after a server's last one: what is silent is the server."""


class Pulses:
    """The renewal counters as one observer saw them move. Times are seconds of the observer's own steady clock."""

    def __init__(self) -> None:
        self._moved: dict[str, tuple[int, float]] = {}
        self._since = 0.0
        self._looked_at: float | None = None

    def saw(self, counters: Mapping[str, int], now: float) -> None:
        """Take one answered look: the counter of each boot."""
        if self._looked_at is None or now - self._looked_at > UNBROKEN_S:
            self._moved, self._since = {}, now
        self._looked_at = now
        before = self._moved
        self._moved = {
            boot_id: before[boot_id] if boot_id in before and before[boot_id][0] == number else (number, now)
            for boot_id, number in counters.items()
        }

    def missed(self) -> None:
        """A look was not answered: what was known is worth nothing any more."""
        self._looked_at = None

    def still_s(self, boot_id: str, now: float) -> float:
        """For how long a server's counter has certainly stood still; 0 where that cannot be told.

        It can be told where looks have been answered for five seconds without a gap, and where another server's
        renewal got through meanwhile: else the database may be what stands still.
        """
        if self._looked_at is None or boot_id not in self._moved or now - self._since < SETTLED_S:
            return 0.0
        _, moved = self._moved[boot_id]
        others = [at for other, (_, at) in self._moved.items() if other != boot_id]
        if max(others, default=moved) < moved + VOUCHED_S:
            return 0.0
        return max(now - moved, 0.0)
