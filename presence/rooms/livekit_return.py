"""Whether a LiveKit room that was lost from sight comes back; where packets vanish the SDK tries on without an end."""

import asyncio
from collections.abc import Callable
from typing import Final

from livekit import rtc

BACK_WITHIN_S: Final = 30.0
"""Where connections are refused the SDK gives up by itself after 22 s."""


class Comeback:
    """Gives a room up when the SDK has tried to reconnect for too long."""

    def __init__(self, room: rtc.Room, give_up: Callable[[], None], within_s: float = BACK_WITHIN_S) -> None:
        """`give_up` is called once for each time that the room did not come back in time."""
        self._give_up = give_up
        self._within_s = within_s
        self._late: asyncio.TimerHandle | None = None
        room.on("reconnecting", self._await)
        room.on("reconnected", self.close)

    def close(self) -> None:
        """Wait no longer; safe to repeat."""
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _await(self) -> None:
        if self._late is None:  # a further try of the same absence does not begin it anew
            self._late = asyncio.get_running_loop().call_later(self._within_s, self._give_up)
