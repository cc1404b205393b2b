"""The media processes of one avatar server, by the session and generation they serve; imports no media library."""

import asyncio
import logging
from collections.abc import Mapping

from domain.leases import RenewalAnswer, Serving
from presence.processes.media_process import MediaProcess
from presence.processes.pool import MediaPool
from presence.processes.protocol import Control, Join, Published

log = logging.getLogger(__name__)

Seat = tuple[str, int]
"""Session id and generation."""


class Seats:
    """Who sits where. A seat is taken by a join and given up by `dismiss`, also where its process died by itself.

    An ended process keeps its seat until then, so that whoever attaches later still learns how it ended.
    """

    def __init__(self, pool: MediaPool) -> None:
        self._pool = pool
        self._taken: dict[Seat, MediaProcess] = {}
        self._joining: dict[Seat, asyncio.Lock] = {}
        self.asked = asyncio.Event()
        """Set when a process asks whether its generation still holds; who answers clears it."""

    def get(self, session_id: str, generation: int) -> MediaProcess | None:
        """The process in a seat, alive or not."""
        return self._taken.get((session_id, generation))

    def taken(self) -> set[Seat]:
        """Every seat with a process, alive or not."""
        return set(self._taken)

    def serving(self) -> list[Serving]:
        """What a renewal tells the database."""
        return [
            Serving(session_id=session_id, generation=generation, served_ms=process.served_ms)
            for (session_id, generation), process in self._taken.items()
        ]

    def hold(self, answer: RenewalAnswer, controls: Mapping[Seat, Control]) -> None:
        """Tell those that still hold so, when their sessions end, and where their control sockets are."""
        for seat in answer.held & self._taken.keys():
            self._taken[seat].hold(answer.stops.get(seat), controls.get(seat))

    async def sit(self, join: Join) -> Published:
        """Join the room, or return what the seat's process has already published; Refused if the join fails."""
        seat = (join.session_id, join.generation)
        async with self._joining.setdefault(seat, asyncio.Lock()):
            try:
                return await self._sit(seat, join)
            finally:
                self._joining.pop(seat, None)

    async def _sit(self, seat: Seat, join: Join) -> Published:
        process = self._taken.get(seat)
        if process is not None and process.alive and process.publication is not None:
            return process.publication
        process = await self._pool.take()
        self._taken[seat] = process
        process.on_ask = self.asked.set
        try:
            return await process.join(join)
        except BaseException:
            self._taken.pop(seat, None)
            raise

    async def dismiss(self, session_id: str, generation: int, reason: str) -> int:
        """Leave the room and give the seat up; the milliseconds served, 0 where nobody sits."""
        process = self._taken.get((session_id, generation))
        if process is None:
            return 0
        ended = await process.leave(reason) if process.alive else await process.wait_ended()
        self._taken.pop((session_id, generation), None)
        return ended.served_ms

    async def dismiss_all(self, reason: str) -> None:
        """Leave every room."""
        await asyncio.gather(*(self.dismiss(*seat, reason) for seat in self.taken()))
