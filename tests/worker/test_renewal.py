"""An avatar server's renewals: whom they dismiss, and when the server has to start anew."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import cast

import pytest

from adapters.relay_tokens import RelayTokens
from database.avatar_servers import AvatarServers
from database.control import ControlLines
from domain.failures import Refused, Unavailable
from domain.leases import RenewalAnswer, Serving
from presence.processes.protocol import Control
from presence.processes.seats import Seat, Seats
from support.databases import Database
from support.eventually import eventually
from worker import renewal
from worker.renewal import Boot, Relay, Renewal, ServerForgotten

BOOT = Boot(boot_id="boot-1", name="avatar-1", queue="avatar-boot-1", slots=2)


@dataclass(kw_only=True)
class FakeSeats:
    """Seats without processes. Leaving waits for `may_leave`."""

    sitting: set[Seat] = field(default_factory=set)
    dismissed: list[Seat] = field(default_factory=list)
    may_leave: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    answers: list[RenewalAnswer] = field(default_factory=list)

    controls: dict[Seat, Control] = field(default_factory=dict)

    def hold(self, answer: RenewalAnswer, controls: dict[Seat, Control]) -> None:
        """Take the answer for those that hold."""
        self.answers.append(answer)
        self.controls = controls

    def taken(self) -> set[Seat]:
        """Every seat."""
        return set(self.sitting)

    def serving(self) -> list[Serving]:
        """What a renewal tells."""
        return [Serving(session_id=session, generation=number, served_ms=1000) for session, number in self.sitting]

    async def dismiss(self, session_id: str, generation: int, reason: str) -> int:
        """Leave, once it is allowed."""
        self.dismissed.append((session_id, generation))
        await self.may_leave.wait()
        self.sitting.discard((session_id, generation))
        return 1000

    async def dismiss_all(self, reason: str) -> None:
        """Leave every seat."""
        await asyncio.gather(*(self.dismiss(*seat, reason) for seat in self.taken()))


@dataclass(kw_only=True)
class FakeServers:
    """A database that answers slowly or not at all."""

    trouble: Refused | None = None
    known: bool = True
    held: frozenset[Seat] = frozenset()
    told: list[Sequence[Serving]] = field(default_factory=list)
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    registered: int = 0

    async def register(
        self,
        boot_id: str,
        name: str,
        queue: str,
        slots: int,
        *,
        version: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """Count the attempts."""
        self.registered += 1
        if self.trouble:
            raise self.trouble

    async def renew(self, boot_id: str, serving: Sequence[Serving]) -> RenewalAnswer:
        """Settle the answer at once, and give it when `answering` is set."""
        self.told.append(serving)
        answer = RenewalAnswer(known=self.known, held=self.held)
        await self.answering.wait()
        if self.trouble:
            raise self.trouble
        return answer

    async def deregister(self, boot_id: str) -> None:
        """Nothing to do."""
        if self.trouble:
            raise self.trouble


@asynccontextmanager
async def running(servers: object, seats: FakeSeats, relay: Relay | None = None) -> AsyncIterator["asyncio.Task[None]"]:
    """A renewal that runs beside the test."""
    task = asyncio.create_task(Renewal(BOOT, cast("AvatarServers", servers), cast("Seats", seats), relay).run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, ServerForgotten):
            await task


@pytest.fixture(autouse=True)
def faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second is a hundredth of one."""
    for name in ("EVERY_S", "AGAIN_S"):
        monkeypatch.setattr(renewal, name, 0.01)


async def test_who_asks_is_answered_by_a_renewal_at_once() -> None:
    """A process that comes back to its room does not wait for the next second; those that hold are told so."""
    seats, servers = FakeSeats(sitting={("s", 1)}), FakeServers(held=frozenset({("s", 1)}))
    servers.answering.set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(renewal, "EVERY_S", 60.0)
        async with running(servers, seats):
            await eventually(lambda: len(seats.answers) == 1)
            seats.asked.set()
            await eventually(lambda: len(seats.answers) == 2)
    assert seats.dismissed == []


async def test_an_avatar_whose_lease_was_revoked_leaves(database: Database) -> None:
    """On the real database: the end revokes the lease, the next renewal says so, and the slot is free after that."""
    await database.servers.register(BOOT.boot_id, BOOT.name, BOOT.queue, BOOT.slots)
    first, second = await database.admitted(2)
    for session_id in (first, second):
        await database.leases.claim(session_id, 1)
    seats = FakeSeats(sitting={(first, 1), (second, 1)})
    seats.may_leave.set()
    async with running(database.servers, seats):
        await asyncio.sleep(0.1)
        assert seats.dismissed == []
        await database.sessions.end(first, "ended_by_request")
        await eventually(lambda: seats.sitting == {(second, 1)})
        async with asyncio.timeout(10):
            while (await database.servers.capacity())[0] != 1:  # noqa: ASYNC110 - a row, which nobody signals
                await asyncio.sleep(0.02)
    assert seats.dismissed == [(first, 1)]
    assert (await database.leases.look(second, 1)).renewals > 1


async def test_an_avatar_that_leaves_slowly_is_told_once_and_holds_nobody_up() -> None:
    """Renewals go on while an avatar leaves, and go on telling of it, since its slot is not free yet."""
    servers, seats = FakeServers(), FakeSeats(sitting={("sess_1", 1)})
    servers.answering.set()
    async with running(servers, seats):
        await eventually(lambda: len(servers.told) > 5)
    assert seats.dismissed == [("sess_1", 1)]
    assert all(len(told) == 1 for told in servers.told)


async def test_an_avatar_that_sits_down_during_a_renewal_stays() -> None:
    """The answer is older than its lease: it says nothing about an avatar that was not told of."""
    servers, seats = FakeServers(), FakeSeats()
    async with running(servers, seats):
        await eventually(lambda: len(servers.told) == 1)
        seats.sitting.add(("sess_1", 1))
        servers.held = frozenset(seats.sitting)
        servers.answering.set()
        await eventually(lambda: len(servers.told) > 2)
    assert seats.dismissed == []


async def test_a_forgotten_server_starts_anew() -> None:
    """A boot that the database does not know must not go on."""
    servers = FakeServers(known=False)
    servers.answering.set()
    async with running(servers, FakeSeats()) as task:
        with pytest.raises(ServerForgotten):
            await asyncio.wait_for(task, 5)


async def test_failed_renewals_are_repeated_until_the_server_must_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short outage changes nothing; a long one ends the server, whose sessions others may have by then."""
    monkeypatch.setattr(renewal, "LEAVE_AFTER_S", 0.3)
    seats = FakeSeats(sitting={("sess_1", 1)})
    servers = FakeServers(trouble=Unavailable("gone"), held=frozenset(seats.sitting))
    servers.answering.set()
    async with running(servers, seats) as task:
        await eventually(lambda: len(servers.told) > 3)
        servers.trouble = None
        before = len(servers.told)
        await asyncio.sleep(0.4)
        assert not task.done()
        assert len(servers.told) > before
        servers.trouble = Unavailable("gone again")
        with pytest.raises(ServerForgotten):
            await asyncio.wait_for(task, 5)
    assert seats.dismissed == []


async def test_registering_waits_for_the_database() -> None:
    """A server that starts while the database is away registers when it is back."""
    servers = FakeServers(trouble=Unavailable("not yet"))
    task = asyncio.create_task(Renewal(BOOT, cast("AvatarServers", servers), cast("Seats", FakeSeats())).register())
    await eventually(lambda: servers.registered > 2)
    assert not task.done()
    servers.trouble = None
    await asyncio.wait_for(task, 5)


async def test_closing_leaves_every_room_first_and_then_the_list(database: Database) -> None:
    """Nobody is offered a slot of a server that is going, and its leases are revoked with it."""
    await database.servers.register(BOOT.boot_id, BOOT.name, BOOT.queue, BOOT.slots)
    (session_id,) = await database.admitted()
    await database.leases.claim(session_id, 1)
    seats = FakeSeats(sitting={(session_id, 1)})
    closing = asyncio.create_task(Renewal(BOOT, database.servers, cast("Seats", seats)).close())
    await eventually(lambda: seats.dismissed == [(session_id, 1)])
    assert [server.boot_id for server in await database.servers.listed()] == [BOOT.boot_id]
    seats.may_leave.set()
    await asyncio.wait_for(closing, 5)
    assert await database.servers.listed() == []
    assert not (await database.leases.look(session_id, 1)).held


async def test_closing_without_a_database_still_leaves_the_rooms() -> None:
    """The list mends itself once the server has been silent for a minute; the avatars must not wait for that."""
    seats = FakeSeats(sitting={("sess_1", 1)})
    seats.may_leave.set()
    servers = FakeServers(trouble=Unavailable("gone"))
    await Renewal(BOOT, cast("AvatarServers", servers), cast("Seats", seats)).close()
    assert seats.sitting == set()


async def test_an_avatar_is_told_where_its_control_socket_is(database: Database) -> None:
    """With a token for its own generation, which `repr` and logs do not show."""
    await database.servers.register(BOOT.boot_id, BOOT.name, BOOT.queue, BOOT.slots)
    (session_id,) = await database.admitted()
    await database.leases.claim(session_id, 1)
    relay = Relay(tokens=RelayTokens({"k": b"k" * 32}), lost_after_s=7)
    seats = FakeSeats(sitting={(session_id, 1)})
    async with running(database.servers, seats, relay):
        await eventually(lambda: bool(seats.answers))
        assert seats.controls == {}
        assert await ControlLines(database.engine).open(session_id, "ws://api-1:8080")
        await eventually(lambda: bool(seats.controls))
    told = seats.controls[session_id, 1]
    assert told.url == f"ws://api-1:8080/relay/{session_id}?generation=1"
    assert relay.tokens.accepts(told.token, session_id, 1)
    assert (told.number, told.grace_ms) == (1, 7000)
    assert told.token not in repr(told)


async def test_a_server_that_stops_takes_no_more_sessions(database: Database) -> None:
    """Its sessions are moved while it is still on the list, and not to itself."""
    await database.servers.register(BOOT.boot_id, BOOT.name, BOOT.queue, BOOT.slots)
    stopping = Renewal(BOOT, database.servers, cast("Seats", FakeSeats()))
    assert await database.servers.capacity() == (2, 2)
    await stopping.retire()
    assert await database.servers.capacity() == (0, 0)
    await stopping.close()


async def test_a_database_that_is_away_does_not_hold_up_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one that refuses nor one that says nothing."""
    monkeypatch.setattr(renewal, "RETIRE_WITHIN_S", 0.05)

    class Silent(FakeServers):
        async def drain(self, _: str) -> None:
            if self.trouble:
                raise self.trouble
            await asyncio.sleep(60)

    for servers in (Silent(), Silent(trouble=Unavailable("away"))):
        await asyncio.wait_for(Renewal(BOOT, cast("AvatarServers", servers), cast("Seats", FakeSeats())).retire(), 5)
