"""The floor of speech: livekit-agents' own AvatarRunner with a generator that draws nothing, as its examples do it."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
from livekit import rtc
from livekit.agents import utils
from livekit.agents.voice.avatar import (
    AudioSegmentEnd,
    AvatarOptions,
    AvatarRunner,
    DataStreamAudioReceiver,
    VideoGenerator,
)

from bench.floors.processes import commands, say

LOUD = 1_500.0
MOUTH = (slice(400, 560), slice(560, 720))
"""Rows and columns that are white while it speaks."""


class TwoPictures(VideoGenerator):
    """One still while it is silent, another while it speaks; a picture for each window of sound."""

    def __init__(self, still: Any, options: AvatarOptions) -> None:
        self._fps = options.video_fps
        self._windows = utils.audio.AudioByteStream(
            options.audio_sample_rate,
            options.audio_channels,
            samples_per_channel=round(options.audio_sample_rate / options.video_fps),
        )
        self._queue: asyncio.Queue[rtc.AudioFrame | AudioSegmentEnd] = asyncio.Queue()
        speaking = still.copy()
        speaking[MOUTH] = 255
        self._shut, self._open = (
            rtc.VideoFrame(options.video_width, options.video_height, rtc.VideoBufferType.I420, picture.tobytes())
            for picture in (still, speaking)
        )

    async def push_audio(self, frame: rtc.AudioFrame | AudioSegmentEnd) -> None:
        """Take sound."""
        await self._queue.put(frame)

    def clear_buffer(self) -> None:
        """Forget sound."""
        while not self._queue.empty():
            self._queue.get_nowait()
        self._windows.clear()

    async def __aiter__(self) -> AsyncIterator[rtc.VideoFrame | rtc.AudioFrame | AudioSegmentEnd]:
        """Pictures without end, each with its sound while there is any."""
        while True:
            try:
                async with asyncio.timeout(0.5 / self._fps):
                    taken = await self._queue.get()
            except TimeoutError:
                yield self._shut
                continue
            ended = isinstance(taken, AudioSegmentEnd)
            for frame in (
                self._windows.flush() if isinstance(taken, AudioSegmentEnd) else self._windows.push(taken.data)
            ):
                yield self._picture(frame)
                yield frame
            if ended:
                yield AudioSegmentEnd()

    def _picture(self, frame: rtc.AudioFrame) -> rtc.VideoFrame:
        samples = np.frombuffer(frame.data, np.int16).astype(np.float32)
        return self._open if np.sqrt(np.mean(samples**2)) > LOUD else self._shut


async def enter(command: dict[str, Any]) -> tuple[rtc.Room, AvatarRunner]:
    """Join and run. It publishes nothing before its agent is there, and no video before somebody takes its sound."""
    still = np.load(command["still"])
    options = AvatarOptions(
        video_width=still.shape[1],
        video_height=still.shape[0] * 2 // 3,
        video_fps=command["fps"],
        audio_sample_rate=command["sample_rate"],
        audio_channels=1,
    )
    room = rtc.Room()
    await room.connect(command["url"], command["token"], rtc.RoomOptions(auto_subscribe=False))
    receiver = DataStreamAudioReceiver(room, sender_identity=command["agent"])
    runner = AvatarRunner(room, audio_recv=receiver, video_gen=TwoPictures(still, options), options=options)
    await runner.start()
    return room, runner


async def main() -> None:
    """Join as told, stay until the input ends."""
    say(ready=True)
    entered: list[tuple[rtc.Room, AvatarRunner]] = []
    async for command in commands():
        entered.append(await enter(command))
        say(running=True)
    for room, _ in entered:
        await room.disconnect()
    # Its tasks and the SDK's threads may hang in an orderly exit.
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
