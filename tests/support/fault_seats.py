"""An avatar server for many sessions: it serves by the clock, stops as the real one does, and keeps a record."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from temporalio import activity

from contracts import steps
from database.avatar_servers import AvatarServers
from domain.leases import Serving
from domain.session import EndReason
from support.fake_avatar_server import FakeAvatarServer
from support.real_system import RealSystem
from support.stand_in_steps import joined

Seat = tuple[str, int]

STOPS_LATE_S = 5.0
"""So long after its stop a session is ended by its server, where its workflow has not."""


@dataclass(kw_only=True)
class Service:
    """What one session was served."""

    began: float = field(default_factory=time.monotonic)
    ended: float | None = None
    told_ms: list[int] = field(default_factory=list)
    """By each renewal that found the lease held: one of the last is the bill."""

    @property
    def served_ms(self) -> int:
        """Until now, or its end."""
        return round(((self.ended or time.monotonic()) - self.began) * 1000)


class SteadyServer(FakeAvatarServer):
    """A `FakeAvatarServer` whose seats serve: `services` says what."""

    def __init__(self, servers: AvatarServers, *, slots: int) -> None:
        super().__init__(servers, slots=slots)
        self.services: dict[Seat, Service] = {}
        self._stopped: dict[Seat, str] = {}

    @steps.join_room.implementation
    async def join_room(self, value: steps.JoinRoomInput) -> steps.JoinRoomResult:
        """Sit down and serve from now on."""
        seat = (value.session_id, value.generation)
        self.serving[seat] = 0
        self.services[seat] = Service()
        return joined(value)

    @steps.stay_in_room.implementation
    async def stay_in_room(self, value: steps.StayInRoomInput) -> steps.StayInRoomResult:
        """Stay until told to leave, until the session's own stop is over, or until the lease is gone."""
        seat = (value.session_id, value.generation)
        service = self.services[seat]
        try:
            while seat in self.serving:
                activity.heartbeat(service.served_ms)
                await asyncio.sleep(0.2)
        except asyncio.CancelledError:
            self._leave(seat)
            return steps.StayInRoomResult(reason="left", served_ms=service.served_ms)
        return steps.StayInRoomResult(
            reason=self._stopped.get(seat, EndReason.SERVER_LOST), served_ms=service.served_ms
        )

    async def renew(self) -> None:
        """Tell what was served; who holds no more leaves, and so does who should have ended a while ago."""
        told = [
            Serving(session_id=seat[0], generation=seat[1], served_ms=self.services[seat].served_ms)
            for seat in self.serving
        ]
        answer = await self._servers.renew(self.boot_id, told)
        for one in told:
            seat = (one.session_id, one.generation)
            if seat in answer.held:
                self.services[seat].told_ms.append(one.served_ms)
        for seat, stop in answer.stops.items():
            if stop.in_s < -STOPS_LATE_S and seat in self.serving:
                self._stopped[seat] = stop.reason
                self._leave(seat)
        for seat in self.serving.keys() - answer.held:
            self._leave(seat)

    def _leave(self, seat: Seat) -> None:
        if self.serving.pop(seat, None) is not None:
            self.services[seat].ended = time.monotonic()


@asynccontextmanager
async def steady_server(system: RealSystem, slots: int) -> AsyncIterator[SteadyServer]:
    """A server of so many slots beside those of the system."""
    server = SteadyServer(AvatarServers(system.engine), slots=slots)
    async with server.run(system.temporal):
        yield server


async def all_of(asked: Callable[[str], Awaitable[object]], names: list[str], at_once: int = 3) -> list[object]:
    """Ask for each, a few at once; the answers in the same order."""
    turn = asyncio.Semaphore(at_once)

    async def one(name: str) -> object:
        async with turn:
            return await asked(name)

    return await asyncio.gather(*(one(name) for name in names))
