"""Avatar servers without avatars: real leases, renewals and queues, and rooms that exist only in a dictionary.

Arguments: the database's address, Temporal's, how many slots each of two servers has, and how many people are in each
room: with somebody there, the session is told so, as by a real server, and stays.
"""

import asyncio
import sys
import time
from contextlib import AsyncExitStack, suppress

from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker
from ulid import ULID

from bench.floors.processes import commands, say
from contracts import steps
from contracts.queues import avatar_queue
from contracts.session_workflow import REPORT_ROOM, RoomSeen, workflow_id
from database.avatar_servers import AvatarServers
from database.engine import open_engine
from domain.leases import Serving
from runtime.temporal_client import connect
from worker.assembly import HEARTBEAT_THROTTLE

NAME = "bench-fake"
SERVERS = 2
RENEW_EVERY_S = 1.0
BEATS = 3
"""Renewals, and heartbeats within the time for one, as of the real ones."""
AT_ONCE = 1000
"""Each session's stay is a step that runs as long as the session."""


class FakeAvatars:
    """One boot: who sits in its slots, and the steps that seat them."""

    def __init__(self, client: Client, servers: AvatarServers, slots: int, people: int) -> None:
        self._client = client
        self._servers = servers
        self._slots = slots
        self._people = people
        self._serving: dict[tuple[str, int], float] = {}
        self._boot_id = str(ULID()).lower()

    @steps.join_room.implementation
    async def join_room(self, value: steps.JoinRoomInput) -> steps.JoinRoomResult:
        """Sit down."""
        self._serving[value.session_id, value.generation] = time.monotonic()
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
        seat = (value.session_id, value.generation)
        try:
            if self._people:
                session = self._client.get_workflow_handle(workflow_id(value.session_id))
                seen = RoomSeen(generation=value.generation, sequence=1, people=self._people, agents=1)
                await session.signal(REPORT_ROOM, seen)
            within = activity.info().heartbeat_timeout
            assert within is not None
            while True:
                activity.heartbeat(self._served_ms(seat))
                await asyncio.sleep(within.total_seconds() / BEATS)
        except asyncio.CancelledError:
            served_ms = self._served_ms(seat)
            self._serving.pop(seat, None)
            return steps.StayInRoomResult(reason="left", served_ms=served_ms)

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
            seats = set(self._serving)
            told = [Serving(session_id=a, generation=b, served_ms=self._served_ms((a, b))) for a, b in seats]
            answer = await self._servers.renew(self._boot_id, told)
            for seat in seats - answer.held:
                self._serving.pop(seat, None)
            await asyncio.sleep(RENEW_EVERY_S)

    async def deregister(self) -> None:
        """Be gone."""
        await self._servers.deregister(self._boot_id)

    def _served_ms(self, seat: tuple[str, int]) -> int:
        since = self._serving.get(seat)
        return 0 if since is None else round((time.monotonic() - since) * 1000)

    def worker(self) -> Worker:
        """What takes this boot's steps."""
        return Worker(
            self._client,
            task_queue=avatar_queue(self._boot_id),
            activities=[self.join_room, self.stay_in_room, self.await_quiet],
            max_concurrent_activities=AT_ONCE,
            max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
            default_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        )


async def main(database: str, temporal: str, slots: str, people: str = "0") -> None:
    """Serve until the input ends."""
    engine = open_engine(database)
    client = await connect({"TEMPORAL_ADDRESS": temporal, "TEMPORAL_NAMESPACE": "default"})
    fakes = [FakeAvatars(client, AvatarServers(engine), int(slots), int(people)) for _ in range(SERVERS)]
    async with AsyncExitStack() as stack:
        stack.push_async_callback(engine.dispose)
        renewing = []
        for one in fakes:
            await one.register()
            stack.push_async_callback(one.deregister)
            await stack.enter_async_context(one.worker())
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
