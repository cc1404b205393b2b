"""A subscriber who decodes everything in a room: when it was loud, and how far the mouth was open."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import numpy as np
from livekit import rtc

from bench.talk.mouth import MouthScale, Small, small

RATE = 48_000
BLOCK_S = 0.01
LOUD = 1_500.0
"""Root mean square of a block in which somebody speaks; tones have 8,000."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """10 ms of sound."""

    at: float
    """time.monotonic() when it was decoded."""
    loud: bool


@dataclass(frozen=True, kw_only=True)
class Look:
    """One picture."""

    at: float
    """time.monotonic() when it was decoded."""
    openness: float


class Watcher:
    """Keeps what it heard and saw. Without a scale it keeps small pictures, of which a scale can be made."""

    def __init__(self, full_size: tuple[int, int]) -> None:
        self.room = rtc.Room()
        self._full_size = full_size
        self._streams: list[rtc.AudioStream | rtc.VideoStream] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.scale: MouthScale | None = None
        self.blocks: list[Block] = []
        self.looks: list[Look] = []
        self.pictures: list[tuple[float, Small]] = []
        self.last: rtc.VideoFrame | None = None
        """The newest frame of full size."""
        self.room.on("track_subscribed", self._on_track)

    async def aclose(self) -> None:
        """Leave the room."""
        await self.room.disconnect()
        for stream in self._streams:
            await stream.aclose()
        for task in self._tasks:  # a stream that is closed goes on waiting
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def loud(self, since: float) -> list[float]:
        """When loud blocks came."""
        late = itertools.takewhile(lambda block: block.at >= since, reversed(self.blocks))
        return [block.at for block in late if block.loud][::-1]

    def seen(self, since: float) -> list[Look]:
        """Pictures that came."""
        return list(itertools.takewhile(lambda look: look.at >= since, reversed(self.looks)))[::-1]

    def _on_track(self, track: rtc.Track, *_: object) -> None:
        if isinstance(track, rtc.RemoteAudioTrack):
            sound = rtc.AudioStream(track, sample_rate=RATE, num_channels=1, frame_size_ms=int(BLOCK_S * 1000))
            self._streams.append(sound)
            self._tasks.append(asyncio.ensure_future(self._listen(sound)))
        elif isinstance(track, rtc.RemoteVideoTrack):
            video = rtc.VideoStream(track)
            self._streams.append(video)
            self._tasks.append(asyncio.ensure_future(self._watch(video)))

    async def _listen(self, stream: rtc.AudioStream) -> None:
        async for event in stream:
            samples = np.frombuffer(event.frame.data, np.int16).astype(np.float32)
            self.blocks.append(Block(at=time.monotonic(), loud=bool(np.sqrt(np.mean(samples**2)) > LOUD)))

    async def _watch(self, stream: rtc.VideoStream) -> None:
        async for event in stream:
            at, frame = time.monotonic(), event.frame
            if (frame.width, frame.height) != self._full_size:
                continue
            if frame.type != rtc.VideoBufferType.I420:
                frame = frame.convert(rtc.VideoBufferType.I420)
            self.last = frame
            if self.scale is None:
                self.pictures.append((at, small(frame)))
            else:
                self.looks.append(Look(at=at, openness=self.scale.openness(small(frame))))


@contextlib.asynccontextmanager
async def watcher_in(url: str, token: str, full_size: tuple[int, int]) -> AsyncIterator[Watcher]:
    """A subscriber in a room, which may be empty still."""
    watcher = Watcher(full_size)
    await watcher.room.connect(url, token)
    try:
        yield watcher
    finally:
        await watcher.aclose()
