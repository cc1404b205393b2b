"""When a count of who is in a room is told: at the join, on changes, and not while others only seem to be gone."""

import asyncio

from presence.rooms.base import Occupancy, OccupancyListener

SETTLE_S = 5.0
"""After an interruption others come back one by one, each in its own time; a count before that would find nobody."""


class CensusClerk:
    """Tells each occupancy that differs from the last one told, while it is open. Platforms count."""

    def __init__(self, seen: OccupancyListener) -> None:
        self._seen = seen
        self._last: Occupancy | None = None
        self._open = False
        self._settling: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Start to report, with the present occupancy first."""
        self._open = True
        self._count()

    def close(self) -> None:
        """Report nothing until the room is opened again."""
        self._open = False
        if self._settling is not None:
            self._settling.cancel()

    def settle(self) -> None:
        """Report again in a while."""
        self.close()
        self._settling = asyncio.get_running_loop().call_later(SETTLE_S, self.open)

    def _count(self) -> None:
        """Tell the present occupancy, if it is news and to be told."""
        occupancy = self._occupancy() if self._open else None
        if occupancy is not None and occupancy != self._last:
            self._last = occupancy
            self._seen(occupancy)

    def _occupancy(self) -> Occupancy | None:
        """Who is there now; None while that cannot be known."""
        raise NotImplementedError
