"""A stand-in for the avatar role: real leases and renewals, and a room that exists only in a dictionary."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker
from ulid import ULID

from activities.failures import translated
from contracts import steps
from contracts.queues import avatar_queue
from database.avatar_servers import AvatarServers
from domain.failures import FailureCode, Refused
from domain.leases import Serving
from domain.session import EndReason
from support.stand_in_steps import joined

DEAD_HOST = "dead.example"
"""Rooms on this host cannot be reached."""


class FakeAvatarServer:
    """Serves sessions without media. `serving` is who sits in its slots."""

    def __init__(self, servers: AvatarServers, *, slots: int, name: str = "fake-1", version: str = "") -> None:
        self._name = name
        self._version = version
        self.boot_id = str(ULID()).lower()
        self.slots = slots
        self.serving: dict[tuple[str, int], int] = {}
        self._servers = servers

    @steps.join_room.implementation
    async def join_room(self, value: steps.JoinRoomInput) -> steps.JoinRoomResult:
        """Sit down, unless the room is dead."""
        if DEAD_HOST in value.room.url:
            with translated():
                raise Refused(FailureCode.ROOM_UNREACHABLE, "the room does not answer")
        self.serving[value.session_id, value.generation] = 0
        return joined(value)

    @steps.stay_in_room.implementation
    async def stay_in_room(self, value: steps.StayInRoomInput) -> steps.StayInRoomResult:
        """Stay until told to leave, or until a renewal said that the lease is gone."""
        seat = (value.session_id, value.generation)
        try:
            while seat in self.serving:
                activity.heartbeat(0)
                await asyncio.sleep(0.1)
        except asyncio.CancelledError:
            self.serving.pop(seat, None)
            return steps.StayInRoomResult(reason="left", served_ms=0)
        return steps.StayInRoomResult(reason=EndReason.SERVER_LOST, served_ms=0)

    @steps.await_quiet.implementation
    async def await_quiet(self, _: steps.AwaitQuietInput) -> steps.AwaitQuietResult:
        """It never says anything."""
        return steps.AwaitQuietResult(quiet=True)

    async def renew(self) -> None:
        """One renewal; avatars whose lease is gone leave."""
        told = [Serving(session_id=s, generation=g, served_ms=ms) for (s, g), ms in self.serving.items()]
        answer = await self._servers.renew(self.boot_id, told)
        for seat in self.serving.keys() - answer.held:
            self.serving.pop(seat, None)

    async def _renew_for_ever(self) -> None:
        while True:
            await self.renew()
            await asyncio.sleep(0.3)

    @asynccontextmanager
    async def run(self, client: Client) -> AsyncIterator[None]:
        """Register, renew, and work on the queue of this boot."""
        queue = avatar_queue(self.boot_id)
        await self._servers.register(self.boot_id, self._name, queue, self.slots, version=self._version)
        renewing = asyncio.create_task(self._renew_for_ever())
        try:
            async with Worker(
                client, task_queue=queue, activities=[self.join_room, self.stay_in_room, self.await_quiet]
            ):
                yield
        finally:
            renewing.cancel()
            with suppress(asyncio.CancelledError):
                await renewing
            await self._servers.deregister(self.boot_id)
