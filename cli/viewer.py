"""Somebody who watches: joins a room with a token of its own and keeps the newest full frame."""

import asyncio
import contextlib
import logging
import time
from pathlib import Path
from typing import Self

import numpy as np
from livekit import api, rtc
from PIL import Image


def room_token(key: str, secret: str, room: str, identity: str, *, avatar: bool = False) -> str:
    """A token as a customer makes it with the key and secret of their own LiveKit server."""
    grants = api.VideoGrants(room_join=True, room=room, can_publish=True, can_subscribe=True, can_publish_data=True)
    token = api.AccessToken(key, secret).with_identity(identity).with_name(identity).with_grants(grants)
    if avatar:
        token = token.with_kind("agent").with_attributes({"lk.publish_on_behalf": "demo-agent"})
    return token.to_jwt()


class Viewer:
    """A participant that subscribes to the avatar's video. Use as an asynchronous context manager."""

    def __init__(self, url: str, token: str, *, full_size: tuple[int, int]) -> None:
        self._url = url
        self._token = token
        self._full_size = full_size
        self._room = rtc.Room()
        self._newest: rtc.VideoFrame | None = None
        self._full = asyncio.Event()
        self._watching: set[asyncio.Task[None]] = set()
        self.frames = 0
        self.first_full_at = 0.0
        """time.monotonic() of the first frame of full size."""

    async def __aenter__(self) -> Self:
        # Its SDK complains of a busy machine, and quotes tokens; what a newcomer must know comes as an exception.
        logging.getLogger("livekit").setLevel(logging.CRITICAL)
        self._room.on("track_subscribed", self._on_track)
        await self._room.connect(self._url, self._token)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        await self._room.disconnect()

    async def wait_full_frame(self, *, within_s: float) -> rtc.VideoFrame:
        """The newest frame, once one of full size was seen; TimeoutError."""
        async with asyncio.timeout(within_s):
            await self._full.wait()
        assert self._newest is not None  # noqa: S101 - set before the event
        return self._newest

    def _on_track(self, track: rtc.Track, _: rtc.RemoteTrackPublication, __: rtc.RemoteParticipant) -> None:
        if track.kind == rtc.TrackKind.KIND_VIDEO:
            self._watching.add(asyncio.create_task(self._watch(track)))

    async def _watch(self, track: rtc.Track) -> None:
        stream = rtc.VideoStream(track)
        with contextlib.suppress(asyncio.CancelledError):
            async for event in stream:
                self._take(event.frame)
        await stream.aclose()

    def _take(self, frame: rtc.VideoFrame) -> None:
        if (frame.width, frame.height) != self._full_size:
            return
        self.frames += 1
        self._newest = frame
        if not self._full.is_set():
            self.first_full_at = time.monotonic()
            self._full.set()


def save_png(frame: rtc.VideoFrame, path: Path) -> None:
    """Write a received frame as a picture."""
    rgb = frame.convert(rtc.VideoBufferType.RGB24)
    pixels = np.frombuffer(rgb.data, np.uint8).reshape(rgb.height, rgb.width, 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
