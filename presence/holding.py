"""What an avatar's stay hangs on: its server's word once a second, and the moment at which the session is to end."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from domain.leases import Stop
from domain.session import EndReason

WARN_AT_S: Final = (60, 10)
"""Seconds before the end at which the room is warned."""
SLACK_S: Final = 5.0
"""The session's own workflow ends it in time; who has not heard of it so long afterwards ends by itself."""
SILENT_S: Final = 62.0
"""After so long without a word the server has lost the session, and should have ended this process by now."""
STOOD_STILL_S: Final = 3.0
"""Who was stopped for so long may have been followed by another."""
LATER_S: Final = 1.0
"""Words of the same moment differ by less than this."""
_LOOK_EVERY_S: Final = 0.25

Warn = Callable[[str, int], Awaitable[None]]
"""Tells the room the reason and the whole seconds that are left."""


class Hold:
    """Watches one stay. It decides nothing but that a stay without its server, or beyond its end, is over."""

    def __init__(self, warn: Warn, ask: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._warn = warn
        self._ask = ask
        self._clock = clock
        self._heard_at = self._looked_at = clock()
        self._ends_at: float | None = None
        self._reason = ""
        self._warned = max(WARN_AT_S) + 1

    def renewed(self, stop: Stop | None) -> None:
        """The server says that the lease still holds, and when the session ends."""
        self._heard_at = self._clock()
        before, self._ends_at = self._ends_at, None if stop is None else self._heard_at + stop.in_s
        self._reason = stop.reason if stop else ""
        if before is not None and (self._ends_at is None or self._ends_at > before + LATER_S):
            self._warned = max(WARN_AT_S) + 1

    async def wait_over(self) -> EndReason:
        """Warn the room in time; returns why the stay is over."""
        while (reason := self._over()) is None:
            await self._warn_if_due()
            await asyncio.sleep(_LOOK_EVERY_S)
        return reason

    def _over(self) -> EndReason | None:
        now = self._clock()
        stood_still, self._looked_at = now - self._looked_at > STOOD_STILL_S, now
        if now - self._heard_at > SILENT_S:
            return EndReason.SERVER_LOST
        if self._ends_at is not None and now > self._ends_at + SLACK_S:
            return EndReason(self._reason)
        if stood_still:
            self._ask()
        return None

    async def _warn_if_due(self) -> None:
        left = None if self._ends_at is None else self._ends_at - self._clock()
        if left is None or left <= 0:
            return
        mark = min((mark for mark in WARN_AT_S if left <= mark), default=None)
        if mark is not None and mark < self._warned:
            self._warned = mark
            await self._warn(self._reason, max(round(left), 1))
