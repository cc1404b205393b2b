"""Somebody who listens: joins a room, decodes the avatar's sound and keeps it with the time at which it came."""

import asyncio
import contextlib
import time
from typing import Self

import numpy as np
from livekit import rtc
from numpy.typing import NDArray

RATE = 48_000
BLOCK_S = 0.01
LOUD = 1_500.0
"""Root mean square of a block in which somebody speaks; tests speak at 8,000."""


class RoomListener:
    """Use as an asynchronous context manager."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token
        self._room = rtc.Room()
        self._tasks: list[asyncio.Task[None]] = []
        self._streams: list[rtc.AudioStream] = []
        self._changed = asyncio.Event()
        self.blocks: list[tuple[float, NDArray[np.int16]]] = []
        """When each 10 ms of sound were decoded, and they themselves."""
        self._room.on("track_subscribed", self._on_track)

    async def __aenter__(self) -> Self:
        await self._room.connect(self._url, self._token)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._room.disconnect()
        for stream in self._streams:
            await stream.aclose()
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def loud(self, since: float = 0.0) -> list[float]:
        """When blocks came in which somebody speaks."""
        return [at for at, block in self.blocks if at >= since and _loudness(block) > LOUD]

    def loud_s(self, since: float = 0.0) -> float:
        """For how long somebody spoke."""
        return len(self.loud(since)) * BLOCK_S

    def pitch(self, since: float = 0.0) -> float:
        """The strongest frequency of what was spoken, in Hz."""
        sound = np.concatenate([block for at, block in self.blocks if at >= since and _loudness(block) > LOUD])
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
        return float(np.argmax(spectrum) * RATE / len(sound))

    async def wait_sound(self, *, since: float = 0.0, within_s: float = 5.0) -> float:
        """Wait until somebody speaks; returns when that was."""
        async with asyncio.timeout(within_s):
            while not (loud := self.loud(since)):
                self._changed.clear()
                await self._changed.wait()
        return loud[0]

    async def wait_silence(self, *, for_s: float = 0.2, within_s: float = 5.0) -> None:
        """Wait until nobody has spoken for so long."""
        async with asyncio.timeout(within_s):
            while self.loud(time.monotonic() - for_s):
                self._changed.clear()
                await self._changed.wait()

    def _on_track(self, track: rtc.Track, *_: object) -> None:
        if isinstance(track, rtc.RemoteAudioTrack):
            stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1, frame_size_ms=int(BLOCK_S * 1000))
            self._streams.append(stream)
            self._tasks.append(asyncio.ensure_future(self._listen(stream)))

    async def _listen(self, stream: rtc.AudioStream) -> None:
        async for event in stream:
            self.blocks.append((time.monotonic(), np.frombuffer(event.frame.data, np.int16).copy()))
            self._changed.set()


def _loudness(block: NDArray[np.int16]) -> float:
    return float(np.sqrt(np.mean(block.astype(np.float64) ** 2)))
