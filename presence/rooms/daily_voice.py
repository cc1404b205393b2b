"""The avatar's sound on its way into a virtual microphone, which takes back nothing that it was given."""

import asyncio
from collections import deque
from typing import Any, Final

from presence.rooms.daily_calls import on_loop
from presence.speech.conversion import SAMPLE_RATE, Sound

PIECE: Final = SAMPLE_RATE // 50
"""Samples that are written at once, 20 ms."""
UNDER_WAY: Final = 2
"""Pieces that the microphone has at once: so much sound is heard after a clear."""
MOST_WAITING: Final = SAMPLE_RATE * 2 // 5 // PIECE
"""Pieces that wait here at most, 400 ms; then whoever pushes waits too."""


class Voice:
    """Keeps the sound back until the microphone has all but played what it was given before."""

    def __init__(self, microphone: Any) -> None:
        self._microphone = microphone
        self._written = on_loop(asyncio.get_running_loop(), self._on_written)
        self._waiting: deque[bytes] = deque()
        self._under_way = 0
        self._moved = asyncio.Event()

    async def push(self, samples: Sound) -> None:
        """Queue samples; waits while too many are queued."""
        self._waiting.extend(samples[at : at + PIECE].tobytes() for at in range(0, len(samples), PIECE))
        self._pump()
        while len(self._waiting) > MOST_WAITING:
            self._moved.clear()
            await self._moved.wait()

    def clear(self) -> None:
        """Forget what the microphone does not have yet."""
        self._waiting.clear()
        self._moved.set()

    def _pump(self) -> None:
        while self._waiting and self._under_way < UNDER_WAY:
            self._under_way += 1
            self._microphone.write_frames(self._waiting.popleft(), completion=self._written)

    def _on_written(self, _: int) -> None:
        # A call that is not there yet, or no more, takes nothing and says so at once: that sound is not kept for later.
        self._under_way -= 1
        self._pump()
        self._moved.set()
