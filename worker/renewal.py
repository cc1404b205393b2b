"""An avatar server's word to the database, once a second: I am here, and this is whom I serve (design rules 8, 10)."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from adapters.relay_tokens import RelayTokens
from database.avatar_servers import AvatarServers
from database.leases import SESSION_ENDED
from domain.failures import Refused
from domain.leases import RenewalAnswer
from domain.relay import PATH
from presence.processes.protocol import Control
from presence.processes.seats import Seat, Seats
from telemetry.metrics import RENEWAL_SECONDS, RENEWAL_SILENCE

log = logging.getLogger(__name__)

EVERY_S = 1.0
AGAIN_S = 0.25
"""After a renewal that failed."""
RETIRE_WITHIN_S = 1.0
LEAVE_AFTER_S = 60.0
"""A server that could not renew for so long leaves its rooms: others may have taken its sessions over."""


class ServerForgotten(Exception):
    """The database does not know this boot any more; the process must start anew under another boot id."""


@dataclass(frozen=True, kw_only=True)
class Boot:
    """One start of an avatar server."""

    boot_id: str
    name: str
    queue: str
    slots: int
    version: str = ""
    """Of its software."""
    labels: Mapping[str, str] = field(default_factory=dict)


Farewell = Callable[[str, int], Awaitable[str]]


async def _session_ended(_: str, __: int) -> str:
    return SESSION_ENDED


@dataclass(frozen=True, kw_only=True)
class Relay:
    """How this server's avatars answer control sockets."""

    tokens: RelayTokens
    lost_after_s: float
    """How long a socket may be gone before its session ends."""


class Renewal:
    """Registers the boot, renews it, and dismisses the avatars whose leases were revoked."""

    def __init__(
        self,
        boot: Boot,
        servers: AvatarServers,
        seats: Seats,
        relay: Relay | None = None,
        farewell: Farewell = _session_ended,
    ) -> None:
        """`farewell`: what an avatar that has to leave tells its room."""
        self._boot = boot
        self._farewell = farewell
        self._relay = relay
        self._servers = servers
        self._seats = seats
        self._leaving: dict[Seat, asyncio.Task[None]] = {}
        self._renewed_at = time.monotonic()
        RENEWAL_SILENCE.set_function(lambda: self.silent_s)

    @property
    def silent_s(self) -> float:
        """Since when the database has taken no renewal."""
        return time.monotonic() - self._renewed_at

    async def register(self) -> None:
        """Make the server known, however long the database is away."""
        boot = self._boot
        while True:
            try:
                await self._servers.register(
                    boot.boot_id, boot.name, boot.queue, boot.slots, version=boot.version, labels=boot.labels
                )
            except Refused as trouble:
                log.warning("avatar server %s cannot register yet: %s", boot.name, trouble)
                await asyncio.sleep(EVERY_S)
            else:
                log.info("avatar server %s is boot %s with %d slots", boot.name, boot.boot_id, boot.slots)
                return

    async def run(self) -> None:
        """Renew for ever; ServerForgotten when the server has to start anew."""
        self._renewed_at = time.monotonic()
        while True:
            self._seats.asked.clear()
            began = time.monotonic()
            told = self._seats.serving()
            try:
                answer = await self._servers.renew(self._boot.boot_id, told)
            except Refused as trouble:
                log.warning("renewal failed: %s", trouble)
                RENEWAL_SECONDS.labels("failed").observe(time.monotonic() - began)
                if self.silent_s > LEAVE_AFTER_S:
                    raise ServerForgotten(f"no renewal for {LEAVE_AFTER_S:.0f} s") from None
                await asyncio.sleep(AGAIN_S)
                continue
            if not answer.known:
                raise ServerForgotten("the database has forgotten this boot")
            self._renewed_at = time.monotonic()
            RENEWAL_SECONDS.labels("ok").observe(self._renewed_at - began)
            self._seats.hold(answer, self._controls(answer))
            # Only of those that were told: who sat down meanwhile was leased after the database looked.
            self._dismiss({(one.session_id, one.generation) for one in told} - answer.held)
            with suppress(TimeoutError):  # who asks is answered by the next renewal, and that at once
                await asyncio.wait_for(self._seats.asked.wait(), max(EVERY_S - (time.monotonic() - began), 0))

    def _controls(self, answer: RenewalAnswer) -> dict[Seat, Control]:
        """The control sockets, with what opens the way to them (design rule 19)."""
        if self._relay is None:
            return {}
        return {
            (session_id, generation): Control(
                url=f"{socket.address}{PATH}{session_id}?generation={generation}",
                token=self._relay.tokens.make(session_id, generation),
                number=socket.number,
                grace_ms=round(self._relay.lost_after_s * 1000),
            )
            for (session_id, generation), socket in answer.controls.items()
        }

    async def retire(self) -> None:
        """Take no more sessions: those that this stop moves elsewhere would be given to this server first."""
        try:
            await asyncio.wait_for(self._servers.drain(self._boot.boot_id), RETIRE_WITHIN_S)
        except (Refused, TimeoutError) as trouble:
            log.warning("the server could not be put out of service: %s", trouble)

    async def close(self) -> None:
        """Leave every room and take the server off the list."""
        await self._seats.dismiss_all("server_stopping")
        await asyncio.gather(*self._leaving.values(), return_exceptions=True)
        try:
            await self._servers.deregister(self._boot.boot_id)
        except Refused as trouble:
            log.warning("the server could not be taken off the list: %s", trouble)

    def _dismiss(self, revoked: set[Seat]) -> None:
        """Let avatars leave whose leases are gone; leaving takes a moment, and renewals do not wait for it."""
        for seat in revoked - self._leaving.keys():
            self._leaving[seat] = asyncio.create_task(self._leave(seat))

    async def _leave(self, seat: Seat) -> None:
        try:
            await self._seats.dismiss(*seat, await self._farewell(*seat))
        finally:
            del self._leaving[seat]
