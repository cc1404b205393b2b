"""An agent of LiveKit Agents, as far as its voice goes: its own output sends speech and hears what was played."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from livekit import api, rtc

from bench.talk.sounds import RATE, Sound

AGENT_IDENTITY = "demo-agent"
"""The agent that the tokens of `cli.viewer` name."""
_CHUNK = RATE // 10


@dataclass(frozen=True, kw_only=True)
class Played:
    """What the avatar said of a segment."""

    at: float
    """time.monotonic() when it came."""
    position_s: float
    interrupted: bool


def agent_token(key: str, secret: str, room: str) -> str:
    """A token as LiveKit gives to an agent's job."""
    grants = api.VideoGrants(room_join=True, room=room, can_update_own_metadata=True)
    return api.AccessToken(key, secret).with_identity(AGENT_IDENTITY).with_kind("agent").with_grants(grants).to_jwt()


class Agent:
    """One voice. livekit-agents keeps handlers by the avatar's identity: two agents in a process need two of these."""

    def __init__(self, room: rtc.Room, avatar: str) -> None:
        from livekit.agents.voice.avatar import DataStreamAudioOutput  # noqa: PLC0415 - takes seconds to import

        self._output = DataStreamAudioOutput(
            room,
            destination_identity=avatar,
            sample_rate=RATE,
            wait_remote_track=rtc.TrackKind.KIND_VIDEO,
            wait_playback_start=True,
        )
        self._output.on("playback_started", self._on_started)
        self._output.on("playback_finished", self._on_finished)
        self._changed = asyncio.Event()
        self.started: list[float] = []
        self.finished: list[Played] = []

    async def say(self, sound: Sound) -> None:
        """Send a segment, as fast as it goes."""
        for start in range(0, len(sound), _CHUNK):
            piece = sound[start : start + _CHUNK]
            await self._output.capture_frame(rtc.AudioFrame(piece.tobytes(), RATE, 1, len(piece)))
        self._output.flush()

    def interrupt(self) -> None:
        """What an agent does when the user speaks."""
        self._output.clear_buffer()
        self._output.flush()

    async def wait_started(self, count: int, *, within_s: float) -> None:
        """Wait until so many segments were heard."""
        await self._wait(lambda: len(self.started) >= count, within_s)

    async def wait_finished(self, count: int, *, within_s: float) -> Played:
        """Wait until so many segments are over; the last of these."""
        await self._wait(lambda: len(self.finished) >= count, within_s)
        return self.finished[count - 1]

    async def _wait(self, ready: Callable[[], bool], within_s: float) -> None:
        async with asyncio.timeout(within_s):
            while not ready():
                self._changed.clear()
                await self._changed.wait()

    def _on_started(self, _: Any) -> None:
        self.started.append(time.monotonic())
        self._changed.set()

    def _on_finished(self, event: Any) -> None:
        self.finished.append(
            Played(at=time.monotonic(), position_s=event.playback_position, interrupted=event.interrupted)
        )
        self._changed.set()


@contextlib.asynccontextmanager
async def agent_in(url: str, token: str, avatar: str) -> AsyncIterator[Agent]:
    """An agent in a room that speaks through an avatar, which may come later."""
    room = rtc.Room()
    await room.connect(url, token, rtc.RoomOptions(auto_subscribe=False))
    await room.local_participant.set_attributes({"lk.agent.state": "speaking"})
    try:
        yield Agent(room, avatar)
    finally:
        await room.disconnect()
