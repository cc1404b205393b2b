"""Avatar servers: registration, renewal, and what becomes of their slots."""

import asyncio

from sqlalchemy import select

from database.tables import avatar_servers, leases, slots
from domain.leases import RenewalAnswer, Serving
from support.databases import Database


async def holders(database: Database, boot_id: str) -> list[str | None]:
    """Who holds each slot of a server."""
    query = select(slots.c.session_id).where(slots.c.boot_id == boot_id).order_by(slots.c.number)
    return [row["session_id"] for row in await database.rows(query)]


async def claimed(database: Database, count: int) -> list[str]:
    """New sessions that hold generation 1 of a lease."""
    found = await database.admitted(count)
    for session_id in found:
        await database.leases.claim(session_id, 1)
    return found


def serving(session_id: str, served_ms: int = 0, generation: int = 1) -> Serving:
    """What a server says of a session."""
    return Serving(session_id=session_id, generation=generation, served_ms=served_ms)


async def test_a_registered_server_offers_its_slots(database: Database) -> None:
    """A boot's slots are free from its registration on; a repeat adds none."""
    for _ in range(2):
        await database.servers.register("boot-1", "avatar-1", "avatar-boot-1", 3)
    assert await database.servers.capacity() == (3, 3)
    (server,) = await database.servers.listed()
    assert (server.boot_id, server.name, server.queue) == ("boot-1", "avatar-1", "avatar-boot-1")
    assert (server.slots, server.taken, server.live, server.draining) == (3, 0, True, False)


async def test_a_server_without_slots_can_register(database: Database) -> None:
    """A server that offers nothing is listed and takes nothing."""
    await database.server(slots=0)
    assert await database.servers.capacity() == (0, 0)
    assert len(await database.servers.listed()) == 1


async def test_a_renewal_renews_the_server_and_all_its_leases(database: Database) -> None:
    """One call moves the server's row and every lease of it, and answers which generations hold."""
    boot = await database.server(slots=3)
    first, second = await claimed(database, 2)
    await database.silence(boot, 10)
    answer = await database.servers.renew(boot, [serving(first, 500)])
    assert answer == RenewalAnswer(known=True, held=frozenset({(first, 1), (second, 1)}))
    assert await database.servers.capacity() == (1, 3)
    sights = [await database.leases.look(session_id, 1) for session_id in (first, second)]
    assert [(sight.renewals, sight.served_ms) for sight in sights] == [(1, 500), (1, 0)]


async def test_a_renewal_leaves_other_servers_alone(database: Database) -> None:
    """A server renews neither the leases of another nor what it claims to serve of them."""
    boot, other = await database.server(slots=1), await database.server(slots=1)
    found = await claimed(database, 2)
    boots = {row["session_id"]: row["boot_id"] for row in await database.rows(select(leases))}
    foreign = next(session_id for session_id in found if boots[session_id] == other)
    answer = await database.servers.renew(boot, [serving(foreign, 9_000)])
    assert (foreign, 1) not in answer.held
    sight = await database.leases.look(foreign, 1)
    assert (sight.renewals, sight.served_ms) == (0, 0)


async def test_seconds_served_never_go_back(database: Database) -> None:
    """A renewal that says less than an earlier one changes nothing."""
    boot = await database.server()
    (session_id,) = await claimed(database, 1)
    for served in (5_000, 3_000):
        await database.servers.renew(boot, [serving(session_id, served)])
    assert (await database.leases.look(session_id, 1)).served_ms == 5_000


async def test_a_slot_is_freed_when_lease_and_process_are_gone(database: Database) -> None:
    """After the end the slot stays taken while the server still has the process, and is freed when it has not."""
    boot = await database.server(slots=1)
    (session_id,) = await claimed(database, 1)
    await database.sessions.end(session_id, "ended_by_request")
    still = await database.servers.renew(boot, [serving(session_id, 100)])
    assert still.held == frozenset()
    assert await holders(database, boot) == [session_id]
    await database.servers.renew(boot, [])
    assert await holders(database, boot) == [None]


async def test_a_lease_that_is_held_keeps_its_slot(database: Database) -> None:
    """A slot whose process is not there yet, or not any more, stays with the lease."""
    boot = await database.server(slots=1)
    (session_id,) = await claimed(database, 1)
    assert (await database.servers.renew(boot, [])).held == {(session_id, 1)}
    assert await holders(database, boot) == [session_id]


async def test_a_stale_generation_is_told_apart(database: Database) -> None:
    """Where the newer generation is on the same server, the older one holds no more and only its slot is freed."""
    boot = await database.server(slots=2)
    (session_id,) = await claimed(database, 1)
    await database.leases.claim(session_id, 2)
    answer = await database.servers.renew(boot, [serving(session_id, 100, generation=2)])
    assert answer.held == {(session_id, 2)}
    assert sorted(await holders(database, boot), key=str) == [None, session_id]


async def test_a_server_that_is_not_known_is_told_so(database: Database) -> None:
    """A boot whose row is gone holds nothing and must register again."""
    boot = await database.server()
    (session_id,) = await claimed(database, 1)
    await database.servers.deregister(boot)
    answer = await database.servers.renew(boot, [serving(session_id, 100)])
    assert answer == RenewalAnswer(known=False, held=frozenset())


async def test_a_server_that_leaves_takes_its_slots_along(database: Database) -> None:
    """Its leases are revoked, its row and slots are gone; a repeat changes nothing."""
    boot, other = await database.server(slots=2), await database.server(slots=1)
    found = await claimed(database, 3)
    for _ in range(2):
        await database.servers.deregister(boot)
    sights = [await database.leases.look(session_id, 1) for session_id in found]
    assert sorted(sight.held for sight in sights) == [False, False, True]
    assert [server.boot_id for server in await database.servers.listed()] == [other]
    assert await database.servers.capacity() == (0, 1)


async def test_a_server_silent_for_65_seconds_is_forgotten(database: Database) -> None:
    """The next registration forgets a boot that left its rooms long ago, and none that only missed some renewals."""
    dead, slow = await database.server(slots=1), await database.server(slots=1)
    await claimed(database, 2)
    await database.silence(dead, 66)
    await database.silence(slow, 60)
    await database.server(boot_id="boot-new")
    assert {server.boot_id for server in await database.servers.listed()} == {slow, "boot-new"}
    rows = await database.rows(select(leases.c.boot_id, leases.c.revoked_at))
    assert {row["boot_id"]: row["revoked_at"] is None for row in rows} == {dead: False, slow: True}


async def test_renewals_claims_and_ends_at_once_agree(database: Database) -> None:
    """While sessions come and go, renewals never free a slot that is held, and at the end every slot is free."""
    boot = await database.server(slots=5)

    async def live(session_id: str) -> None:
        await database.leases.claim(session_id, 1)
        await database.servers.renew(boot, [serving(session_id, 10)])
        assert (await database.leases.look(session_id, 1)).held
        await database.sessions.end(session_id, "ended_by_request")
        await database.servers.renew(boot, [])

    for _ in range(2):
        await asyncio.gather(*(live(session_id) for session_id in await database.admitted(5)))
        await database.servers.renew(boot, [])
    assert await holders(database, boot) == [None] * 5
    (row,) = await database.rows(select(avatar_servers.c.renewals))
    assert row["renewals"] == 22
