"""Looks at the avatar servers' renewal counters without a pause, so that an alarm finds the first look done."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from domain.failures import Refused
from domain.pulses import Pulses

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.3

Look = Callable[[], Awaitable[Mapping[str, int]]]


class ServerWatch:
    """One in each sessions worker. It only reads; what follows from it is decided by the workflow."""

    def __init__(self, look: Look, clock: Callable[[], float] = time.monotonic) -> None:
        """`look` answers the counter of each boot."""
        self._look = look
        self._clock = clock
        self._pulses = Pulses()
        self._one_by_one = asyncio.Lock()

    async def run(self) -> None:
        """Look for ever, whatever becomes of a look."""
        while True:
            try:
                await self.look()
            except Exception:  # an alarm is served without it too, only later
                log.exception("the avatar servers cannot be watched")
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> float:
        """One look; when it was begun. A database that is away is an unanswered look."""
        async with self._one_by_one:
            began = self._clock()
            try:
                counters = await self._look()
            except Refused:
                self._pulses.missed()
            except BaseException:
                self._pulses.missed()
                raise
            else:
                self._pulses.saw(counters, self._clock())
            return began

    async def still_s(self, boot_id: str) -> float:
        """For how long a server has certainly not renewed, by a look that is made now; 0 where nobody can tell."""
        return self._pulses.still_s(boot_id, await self.look())
