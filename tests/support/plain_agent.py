"""An agent that speaks the protocol by itself, as others than livekit-agents do."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import numpy as np
from livekit import rtc

from support.agent_peer import agent_token, set_state
from support.livekit_server import LiveKitServer
from support.tokens import AVATAR_IDENTITY


async def send(
    room: rtc.Room, samples: np.ndarray[tuple[int], np.dtype[np.int16]], attributes: dict[str, str], *, end: bool = True
) -> rtc.ByteStreamWriter:
    """Send speech as other agents than livekit's do; chunks of an odd number of bytes."""
    writer = await room.local_participant.stream_bytes(
        "AUDIO_x", topic="lk.audio_stream", destination_identities=[AVATAR_IDENTITY], attributes=attributes
    )
    await write(writer, samples)
    if end:
        await writer.aclose()
    return writer


async def write(writer: rtc.ByteStreamWriter, samples: np.ndarray[tuple[int], np.dtype[np.int16]]) -> None:
    """Write speech in chunks of 1,001 bytes."""
    pcm = samples.tobytes()
    for start in range(0, len(pcm), 1_001):
        await writer.write(pcm[start : start + 1_001])


class PlainAgent:
    """An agent that notes what it is told, and may refuse the first calls."""

    def __init__(self, stage_room: rtc.Room) -> None:
        self.room = stage_room
        self.told: list[dict[str, object]] = []
        self.calls = count()
        self._changed = asyncio.Event()
        self.refusals = 0

    def listen(self) -> None:
        """Register for the ends of playback, and for nothing else."""
        self.room.local_participant.register_rpc_method("lk.playback_finished", self._on_finished)

    def _on_finished(self, call: rtc.RpcInvocationData) -> str:
        next(self.calls)
        if self.refusals:
            self.refusals -= 1
            raise rtc.RpcError(1505, "not now")
        self.told.append(json.loads(call.payload))
        self._changed.set()
        return "ok"

    async def wait_told(self, number: int, *, within_s: float = 3.0) -> list[dict[str, object]]:
        """Wait until it was told so often."""
        async with asyncio.timeout(within_s):
            while len(self.told) < number:
                self._changed.clear()
                await self._changed.wait()
        return self.told


@asynccontextmanager
async def plain_agent(server: LiveKitServer, room_name: str, identity: str = "agent") -> AsyncIterator[PlainAgent]:
    """An agent that speaks the protocol by itself."""
    room = rtc.Room()
    await room.connect(server.url, agent_token(server, room_name, identity), rtc.RoomOptions(auto_subscribe=False))
    agent = PlainAgent(room)
    agent.listen()
    await set_state(room, "initializing")
    yield agent
    await room.disconnect()
