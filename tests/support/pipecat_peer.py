"""A client as Pipecat's service is on the wire: one stream of audio that never closes, interruptions at any time."""

import asyncio
from typing import Self

import numpy as np
from livekit import rtc
from numpy.typing import NDArray

from support.tokens import AVATAR_IDENTITY

CHUNK = 640
"""Bytes that are sent at once: 20 ms at 16 kHz. What is less stays until more is said."""
RATE = 16_000


class PipecatPeer:
    """Use as an asynchronous context manager. It takes the first participant that it sees for the avatar."""

    def __init__(self, url: str, token: str) -> None:
        self.room = rtc.Room()
        self._url = url
        self._token = token
        self._writer: rtc.ByteStreamWriter | None = None
        self._rest = b""
        self._seen = asyncio.Event()
        self.first = ""
        """Who was seen first."""
        self.others: set[str] = set()
        self.finished = 0
        """How often the avatar said that a segment was played."""
        self.room.on("track_published", self._on_published)
        self.room.on("participant_connected", self._on_participant)

    async def __aenter__(self) -> Self:
        await self.room.connect(self._url, self._token, rtc.RoomOptions(auto_subscribe=False))
        self.room.local_participant.register_rpc_method("lk.playback_finished", self._on_finished)
        for participant in self.room.remote_participants.values():
            self._on_participant(participant)
            if any(p.kind == rtc.TrackKind.KIND_VIDEO for p in participant.track_publications.values()):
                self._seen.set()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.room.disconnect()

    async def say(self, samples: NDArray[np.int16]) -> None:
        """Send speech at 16 kHz as it comes, on the one stream."""
        async with asyncio.timeout(10):
            await self._seen.wait()  # no audio before there is a video track
        if self._writer is None:
            self._writer = await self.room.local_participant.stream_bytes(
                name="AUDIO_1",
                topic="lk.audio_stream",
                attributes={"sample_rate": str(RATE), "num_channels": "1"},
                destination_identities=[AVATAR_IDENTITY],
            )
        data = self._rest + samples.tobytes()
        whole = len(data) - len(data) % CHUNK
        for start in range(0, whole, CHUNK):
            await self._writer.write(data[start : start + CHUNK])
        self._rest = data[whole:]

    async def interrupt(self) -> str:
        """The user speaks, whether or not anything is playing; the avatar's answer."""
        return await self.room.local_participant.perform_rpc(
            destination_identity=AVATAR_IDENTITY, method="lk.clear_buffer", payload=""
        )

    def _on_participant(self, participant: rtc.RemoteParticipant) -> None:
        self.first = self.first or participant.identity
        self.others.add(participant.identity)

    def _on_published(self, publication: rtc.RemoteTrackPublication, _: rtc.RemoteParticipant) -> None:
        if publication.kind == rtc.TrackKind.KIND_VIDEO:
            self._seen.set()

    def _on_finished(self, _: rtc.RpcInvocationData) -> str:
        self.finished += 1
        return "ok"
