"""An agent in a room: livekit-agents' own sound output, which sends speech to the avatar and hears what was played."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from livekit import api, rtc
from numpy.typing import NDArray

from support.livekit_server import LiveKitServer
from support.tokens import AVATAR_IDENTITY

CHUNK_S = 0.1


def agent_token(server: LiveKitServer, room: str, identity: str = "agent") -> str:
    """A token as LiveKit gives to an agent's job: it may tell the others of its state."""
    grants = api.VideoGrants(room_join=True, room=room, can_update_own_metadata=True)
    token = api.AccessToken(server.api_key, server.api_secret).with_identity(identity).with_kind("agent")
    return token.with_grants(grants).to_jwt()


async def set_state(room: rtc.Room, state: str) -> None:
    """Tell the others what the agent does, as AgentSession does."""
    await room.local_participant.set_attributes({"lk.agent.state": state})


@dataclass(frozen=True, kw_only=True)
class Played:
    """What the avatar said of a segment."""

    at: float
    """time.monotonic() when it came."""
    position_s: float
    interrupted: bool


class AgentPeer:
    """Use as an asynchronous context manager. One at a time in a process: livekit-agents keeps handlers per class."""

    def __init__(self, url: str, token: str, *, avatar: str = AVATAR_IDENTITY, sample_rate: int = 16_000) -> None:
        self.room = rtc.Room()
        self._url = url
        self._token = token
        self._avatar = avatar
        self._rate = sample_rate
        self.started: list[float] = []
        self.finished: list[Played] = []
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        from livekit.agents.voice.avatar import DataStreamAudioOutput  # noqa: PLC0415 - takes seconds to import

        await self.room.connect(self._url, self._token, rtc.RoomOptions(auto_subscribe=False))
        self.output = DataStreamAudioOutput(
            self.room,
            destination_identity=self._avatar,
            sample_rate=self._rate,
            wait_remote_track=rtc.TrackKind.KIND_VIDEO,
            wait_playback_start=True,
        )
        self.output.on("playback_started", self._on_started)
        self.output.on("playback_finished", self._on_finished)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.room.disconnect()

    def _on_started(self, _: Any) -> None:
        self.started.append(time.monotonic())
        self._changed.set()

    def _on_finished(self, event: Any) -> None:
        played = Played(at=time.monotonic(), position_s=event.playback_position, interrupted=event.interrupted)
        self.finished.append(played)
        self._changed.set()

    async def push(self, samples: NDArray[np.int16], *, rate: int = 0, channels: int = 1) -> None:
        """Send speech in chunks of 100 ms as fast as it goes; stereo has two columns."""
        rate = rate or self._rate
        size = round(rate * CHUNK_S)
        for start in range(0, len(samples), size):
            piece = samples[start : start + size]
            await self.output.capture_frame(rtc.AudioFrame(piece.tobytes(), rate, channels, len(piece)))

    async def say(self, samples: NDArray[np.int16], *, rate: int = 0, channels: int = 1) -> None:
        """Send a whole segment."""
        await self.push(samples, rate=rate, channels=channels)
        self.output.flush()

    def interrupt(self) -> None:
        """What an agent does when the user speaks: clear, then end the segment."""
        self.output.clear_buffer()
        self.output.flush()

    async def wait_started(self, count: int, *, within_s: float = 5.0) -> None:
        """Wait until so many segments were heard."""
        await self._wait(lambda: len(self.started) >= count, within_s)

    async def wait_finished(self, count: int, *, within_s: float = 5.0) -> list[Played]:
        """Wait until so many segments are over; returns them all."""
        await self._wait(lambda: len(self.finished) >= count, within_s)
        return self.finished

    async def _wait(self, ready: Any, within_s: float) -> None:
        async with asyncio.timeout(within_s):
            while not ready():
                self._changed.clear()
                await self._changed.wait()

    async def call(self, method: str) -> str:
        """Call the avatar directly."""
        return await call_avatar(self.room, method)


async def call_avatar(room: rtc.Room, method: str) -> str:
    """Call the avatar's method from a room; returns its answer."""
    me = room.local_participant
    return await me.perform_rpc(destination_identity=AVATAR_IDENTITY, method=method, payload="")
