"""Somebody who watches: joins a room, decodes what the avatar sends and keeps a record of each frame."""

import asyncio
import contextlib
import itertools
import json
import time
from dataclasses import dataclass
from typing import Self

import numpy as np
from livekit import rtc
from numpy.typing import NDArray

from presence.renderers.marker import read_marker

PLACEHOLDER = (8, 8)
"""Size of the black pictures that the SDK itself makes when a track ends; nobody sent them."""


@dataclass(frozen=True, kw_only=True)
class SeenFrame:
    """One decoded frame."""

    at: float
    """time.monotonic() when it was decoded."""
    width: int
    height: int
    marker: int | None
    participant_sid: str


class RoomViewer:
    """A subscriber. Use as an asynchronous context manager, or `connect` and `aclose`."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token
        self._room = rtc.Room()
        self._streams: list[rtc.VideoStream] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._watched: dict[str, asyncio.Task[None]] = {}
        self._last: rtc.VideoFrame | None = None
        self._arrived = asyncio.Event()
        self.frames: list[SeenFrame] = []
        self.audio_tracks: list[str] = []
        """Names of the audio tracks that were subscribed."""
        self.states: list[dict[str, str]] = []
        """The `session.state` messages."""
        self.warnings: list[dict[str, object]] = []
        """The `session.warning` messages."""
        self.departures: list[tuple[float, str]] = []
        """When who left."""
        self._room.on("track_subscribed", self._on_track)
        self._room.on("track_unsubscribed", self._on_track_gone)
        self._room.on("data_received", self._on_data)
        self._room.on("participant_disconnected", lambda p: self.departures.append((time.monotonic(), p.identity)))

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def connect(self) -> None:
        """Join the room."""
        await self._room.connect(self._url, self._token)

    async def aclose(self) -> None:
        """Leave the room."""
        await self._room.disconnect()
        for stream in self._streams:
            await stream.aclose()
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    @property
    def picture(self) -> NDArray[np.uint8]:
        """The last frame as RGB (height, width, 3)."""
        if self._last is None:
            raise AssertionError("no frame was seen")
        frame = self._last.convert(rtc.VideoBufferType.RGB24)
        return np.frombuffer(frame.data, np.uint8).reshape(frame.height, frame.width, 3).copy()

    async def wait_frames(self, count: int, *, within_s: float = 10.0) -> list[SeenFrame]:
        """Wait until so many frames were seen; returns them all."""
        async with asyncio.timeout(within_s):
            while len(self.frames) < count:
                self._arrived.clear()
                await self._arrived.wait()
        return self.frames

    def longest_gap(self) -> float:
        """The longest time between two frames, in seconds."""
        times = [frame.at for frame in self.frames]
        return max((b - a for a, b in itertools.pairwise(times)), default=0.0)

    def _on_track(self, track: rtc.Track, publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant) -> None:
        if isinstance(track, rtc.RemoteVideoTrack):
            stream = rtc.VideoStream(track)
            self._streams.append(stream)
            task = asyncio.ensure_future(self._watch(stream, who.sid))
            self._tasks.append(task)
            self._watched[track.sid] = task
        else:
            self.audio_tracks.append(publication.name)

    def _on_track_gone(self, track: rtc.Track, _: rtc.RemoteTrackPublication, __: rtc.RemoteParticipant) -> None:
        """Stop to watch it: WebRTC gives its receiver to the next track, whose frames would be taken for this one's."""
        if task := self._watched.pop(track.sid, None):
            task.cancel()

    async def _watch(self, stream: rtc.VideoStream, participant_sid: str) -> None:
        async for event in stream:
            at = time.monotonic()
            frame = event.frame
            if (frame.width, frame.height) == PLACEHOLDER:
                continue
            if frame.type != rtc.VideoBufferType.I420:
                frame = frame.convert(rtc.VideoBufferType.I420)
            width, height = frame.width, frame.height
            luma = np.frombuffer(frame.data, np.uint8, count=width * height).reshape(height, width)
            seen = SeenFrame(
                at=at, width=width, height=height, marker=read_marker(luma), participant_sid=participant_sid
            )
            self._last = frame
            self.frames.append(seen)
            self._arrived.set()

    def _on_data(self, packet: rtc.DataPacket) -> None:
        if packet.topic == "session.state":
            self.states.append(json.loads(packet.data))
        if packet.topic == "session.warning":
            self.warnings.append(json.loads(packet.data))
