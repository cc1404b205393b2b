"""The floor of every picture here: a warm process that joins a room and publishes one still, and nothing more."""

import asyncio
import os
from typing import Any

import numpy as np
from livekit import rtc

from bench.floors.processes import commands, say

SAMPLE_RATE = 48_000


async def publish(command: dict[str, Any]) -> rtc.Room:
    """Join and publish; frames flow before the publication is acknowledged, as they do in a media process."""
    still = np.load(command["still"])
    width, height = still.shape[1], still.shape[0] * 2 // 3
    room = rtc.Room()
    source = rtc.VideoSource(width, height)
    track = rtc.LocalVideoTrack.create_video_track("still", source)
    options = rtc.TrackPublishOptions(
        source=rtc.TrackSource.SOURCE_CAMERA,
        simulcast=False,
        video_codec=rtc.VideoCodec.Value(command["codec"]),
        video_encoding=rtc.VideoEncoding(max_framerate=command["fps"], max_bitrate=command["bitrate"]),
    )
    frame = rtc.VideoFrame(width, height, rtc.VideoBufferType.I420, still.tobytes())
    await room.connect(command["url"], command["token"], rtc.RoomOptions(auto_subscribe=False))
    room.showing = asyncio.create_task(show(source, frame, command["fps"]))  # type: ignore[attr-defined]
    await room.local_participant.publish_track(track, options)
    if command["sound"]:
        await publish_silence(room)
    return room


async def publish_silence(room: rtc.Room) -> None:
    """Sound that is as silent as an avatar's."""
    source = rtc.AudioSource(SAMPLE_RATE, 1, queue_size_ms=200)
    track = rtc.LocalAudioTrack.create_audio_track("silence", source)
    options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False)
    await room.local_participant.publish_track(track, options)
    room.sounding = asyncio.create_task(be_silent(source))  # type: ignore[attr-defined]


async def be_silent(source: rtc.AudioSource) -> None:
    """40 ms at a time; the source's own queue sets the pace."""
    samples = SAMPLE_RATE // 25
    frame = rtc.AudioFrame(bytes(samples * 2), SAMPLE_RATE, 1, samples)
    while True:
        await source.capture_frame(frame)
        await asyncio.sleep(1 / 25 - 0.002)


async def show(source: rtc.VideoSource, frame: rtc.VideoFrame, fps: int) -> None:
    """The same frame at a steady rate."""
    loop = asyncio.get_running_loop()
    began, index = loop.time(), 0
    while True:
        source.capture_frame(frame)
        index += 1
        await asyncio.sleep(max(began + index / fps - loop.time(), 0))


async def main() -> None:
    """Join as told, stay until the input ends."""
    say(ready=True)
    room: rtc.Room | None = None
    async for command in commands():
        room = await publish(command)
        say(published=True)
    if room is not None:
        await room.disconnect()
    # The SDK's threads may hang in an orderly exit.
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
