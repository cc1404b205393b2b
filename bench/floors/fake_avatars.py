"""Avatar servers without avatars: real leases, renewals and queues, and rooms that exist only in a dictionary.

Arguments: the database's address, Temporal's, and how many slots each of two servers has.
"""

import asyncio
import sys
from contextlib import AsyncExitStack, suppress

from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker
from ulid import ULID

from bench.floors.processes import commands, say
from contracts import steps
from contracts.queues import avatar_queue
from database.avatar_servers import AvatarServers
from database.engine import open_engine
from domain.leases import Serving
from runtime.temporal_client import connect

NAME = "bench-fake"
SERVERS = 2
RENEW_EVERY_S = 1.0
AT_ONCE = 1000
"""Each session's stay is a step that runs as long as the session."""


class FakeAvatars:
    """One boot: who sits in its slots, and the steps that seat them."""

    def __init__(self, servers: AvatarServers, slots: int) -> None:
        self._servers = servers
        self._slots = slots
        self._serving: set[tuple[str, int]] = set()
        self._boot_id = str(ULID()).lower()

    @steps.join_room.implementation
    async def join_room(self, value: steps.JoinRoomInput) -> steps.JoinRoomResult:
        """Sit down."""
        self._serving.add((value.session_id, value.generation))
        return steps.JoinRoomResult(
            participant_identity="avatar",
            participant_sid="PA_bench",
            room_name="room",
            video_track_sid="TR_bench",
            width=value.portrait.width,
            height=value.portrait.height,
            publish_ms=0,
        )

    @steps.stay_in_room.implementation
    async def stay_in_room(self, value: steps.StayInRoomInput) -> steps.StayInRoomResult:
        """Stay until told to leave."""
        try:
            while True:
                activity.heartbeat(0)
                await asyncio.sleep(RENEW_EVERY_S)
        except asyncio.CancelledError:
            self._serving.discard((value.session_id, value.generation))
            return steps.StayInRoomResult(reason="left", served_ms=0)

    @steps.await_quiet.implementation
    async def await_quiet(self, _: steps.AwaitQuietInput) -> steps.AwaitQuietResult:
        """It never says anything."""
        return steps.AwaitQuietResult(quiet=True)

    async def register(self) -> None:
        """Be there."""
        await self._servers.register(self._boot_id, NAME, avatar_queue(self._boot_id), self._slots)

    async def renew_for_ever(self) -> None:
        """Once a second, as a server does; avatars whose lease is gone leave."""
        while True:
            told = [Serving(session_id=one, generation=number, served_ms=0) for one, number in self._serving]
            answer = await self._servers.renew(self._boot_id, told)
            self._serving -= {(one.session_id, one.generation) for one in told} - answer.held
            await asyncio.sleep(RENEW_EVERY_S)

    async def deregister(self) -> None:
        """Be gone."""
        await self._servers.deregister(self._boot_id)

    def worker(self, client: Client) -> Worker:
        """What takes this boot's steps."""
        return Worker(
            client,
            task_queue=avatar_queue(self._boot_id),
            activities=[self.join_room, self.stay_in_room, self.await_quiet],
            max_concurrent_activities=AT_ONCE,
        )


async def main(database: str, temporal: str, slots: str) -> None:
    """Serve until the input ends."""
    engine = open_engine(database)
    client = await connect({"TEMPORAL_ADDRESS": temporal, "TEMPORAL_NAMESPACE": "default"})
    fakes = [FakeAvatars(AvatarServers(engine), int(slots)) for _ in range(SERVERS)]
    async with AsyncExitStack() as stack:
        stack.push_async_callback(engine.dispose)
        renewing = []
        for one in fakes:
            await one.register()
            stack.push_async_callback(one.deregister)
            await stack.enter_async_context(one.worker(client))
            renewing.append(asyncio.create_task(one.renew_for_ever()))
        say(ready=True)
        async for _ in commands():
            pass
        for task in renewing:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
