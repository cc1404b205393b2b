"""Claiming slots, and looking at leases."""

import asyncio

import pytest
from sqlalchemy import select

from database.tables import leases, slots
from domain.failures import FailureCode, Refused
from domain.leases import Lease, LeaseSight, Serving
from support.database_racers import admit, claim, race
from support.databases import Database


async def refused_claim(database: Database, session_id: str, generation: int) -> FailureCode:
    """The code that a claim is refused with."""
    with pytest.raises(Refused) as refusal:
        await database.leases.claim(session_id, generation)
    return refusal.value.code


async def test_a_claim_takes_a_slot(database: Database) -> None:
    """A claim names the server and its queue, and one slot fewer is free."""
    boot = await database.server(slots=2)
    (session_id,) = await database.admitted()
    lease = await database.leases.claim(session_id, 1)
    assert (lease.boot_id, lease.server, lease.queue) == (boot, f"name of {boot}", f"avatar-{boot}")
    assert (lease.session_id, lease.generation) == (session_id, 1)
    assert await database.servers.capacity() == (1, 2)
    assert await database.leases.look(session_id, 1) == LeaseSight(held=True, renewals=0, served_ms=0, boot_id=boot)


async def test_a_repeated_claim_finds_its_own(database: Database) -> None:
    """A repeat answers the same lease and takes no second slot."""
    await database.server(slots=3)
    await database.server(slots=3)
    (session_id,) = await database.admitted()
    first = await database.leases.claim(session_id, 1)
    assert await database.leases.claim(session_id, 1) == first
    assert await database.servers.capacity() == (5, 6)


async def test_no_free_slot_is_at_capacity(database: Database) -> None:
    """Without a server, and with every slot taken, a claim is refused and leaves nothing."""
    first, second = await database.admitted(2)
    assert await refused_claim(database, first, 1) == FailureCode.AT_CAPACITY
    await database.server(slots=1)
    await database.leases.claim(first, 1)
    assert await refused_claim(database, second, 1) == FailureCode.AT_CAPACITY
    assert not (await database.leases.look(second, 1)).held
    assert len(await database.rows(select(leases))) == 1


@pytest.mark.parametrize(("seconds", "free"), [(2.0, 1), (3.5, 0)])
async def test_only_servers_that_renewed_within_three_seconds_count(
    database: Database, seconds: float, free: int
) -> None:
    """A server that has been silent for more than 3 s gets no session; a renewal brings it back."""
    boot = await database.server(slots=1)
    await database.silence(boot, seconds)
    assert (await database.servers.capacity())[0] == free
    (session_id,) = await database.admitted()
    if not free:
        assert await refused_claim(database, session_id, 1) == FailureCode.AT_CAPACITY
        await database.servers.renew(boot, [])
    assert (await database.leases.claim(session_id, 1)).boot_id == boot


async def test_a_draining_server_gets_no_session(database: Database) -> None:
    """A server that drains is passed over, and keeps what it has."""
    boot = await database.server(slots=2)
    first, second = await database.admitted(2)
    await database.leases.claim(first, 1)
    await database.servers.drain(boot)
    assert await refused_claim(database, second, 1) == FailureCode.AT_CAPACITY
    assert (await database.servers.renew(boot, [])).held == {(first, 1)}


async def test_sessions_spread_over_servers(database: Database) -> None:
    """Each claim goes to the server with the most free slots."""
    small, large = await database.server(slots=2), await database.server(slots=4)
    claimed = [(await database.leases.claim(session_id, 1)).boot_id for session_id in await database.admitted(6)]
    assert claimed[:2] == [large, large]
    assert sorted(claimed) == sorted([small] * 2 + [large] * 4)
    assert set(claimed[2:4]) == {small, large}


async def test_a_newer_generation_overtakes_the_older(database: Database) -> None:
    """The older lease is revoked in the same moment, and can neither be claimed again nor found held."""
    await database.server(slots=2)
    (session_id,) = await database.admitted()
    await database.leases.claim(session_id, 1)
    await database.leases.claim(session_id, 2)
    sights = [await database.leases.look(session_id, generation) for generation in (1, 2)]
    assert [sight.held for sight in sights] == [False, True]
    assert await refused_claim(database, session_id, 1) == FailureCode.LEASE_REVOKED


async def test_claims_of_one_session_at_once_leave_one_holder(database: Database) -> None:
    """However claims of two generations and a repeat fall, only the newer one holds in the end, with one slot each."""
    await database.server(slots=20)
    found = await database.admitted(10)
    for session_id in found:
        claims = (database.leases.claim(session_id, generation) for generation in (1, 2, 1, 2))
        first, second, *repeats = await asyncio.gather(*claims, return_exceptions=True)
        assert isinstance(second, Lease)
        assert repeats[1] == second
        for older in (first, repeats[0]):
            assert isinstance(older, Lease) or (isinstance(older, Refused) and older.code == FailureCode.LEASE_REVOKED)
    held = await database.rows(select(leases.c.generation).where(leases.c.revoked_at.is_(None)))
    assert [row["generation"] for row in held] == [2] * 10
    taken = await database.rows(select(slots).where(slots.c.session_id.is_not(None)))
    assert len(taken) == len(await database.rows(select(leases)))


async def test_a_newer_generation_without_a_slot_keeps_the_older(database: Database) -> None:
    """Where no slot is free, a claim changes nothing: the older generation still holds."""
    await database.server(slots=1)
    (session_id,) = await database.admitted()
    await database.leases.claim(session_id, 1)
    assert await refused_claim(database, session_id, 2) == FailureCode.AT_CAPACITY
    assert (await database.leases.look(session_id, 1)).held


async def test_only_a_living_session_claims(database: Database) -> None:
    """A session that was never admitted, or that has ended, gets no slot."""
    await database.server()
    assert await refused_claim(database, "sess_0", 1) == FailureCode.SESSION_NOT_FOUND
    (session_id,) = await database.admitted()
    await database.sessions.end(session_id, "ended_by_request")
    assert await refused_claim(database, session_id, 1) == FailureCode.LEASE_REVOKED
    assert await database.servers.capacity() == (2, 2)


async def test_a_look_shows_renewals_and_what_was_served(database: Database) -> None:
    """Two looks tell whether the server renewed between them; a lease that never was is not held."""
    boot = await database.server()
    (session_id,) = await database.admitted()
    await database.leases.claim(session_id, 1)
    for served in (400, 1400):
        await database.servers.renew(boot, [Serving(session_id=session_id, generation=1, served_ms=served)])
    sight = LeaseSight(held=True, renewals=2, served_ms=1400, boot_id=boot)
    assert await database.leases.look(session_id, 1) == sight
    assert await database.servers.renewals() == {boot: 2}
    assert await database.leases.look(session_id, 7) == LeaseSight(held=False, renewals=0, served_ms=0)


async def test_fifty_claims_at_once_get_exactly_the_slots_there_are(database: Database) -> None:
    """Of 50 claims over 50 connections of two processes to 30 slots, 30 succeed; nothing is taken twice."""
    boots = [await database.server(slots=10) for _ in range(3)]
    found = await database.admitted(50)
    for boot in boots:
        await database.silence(boot, -60)  # the processes take a moment to start
    outcomes = await race(database.url, claim, [found[::2], found[1::2]])
    assert outcomes == {"claimed": 30, "AT_CAPACITY": 20}
    taken = await database.rows(select(slots.c.session_id).where(slots.c.session_id.is_not(None)))
    assert len({row["session_id"] for row in taken}) == 30
    held = await database.rows(select(leases.c.session_id).where(leases.c.revoked_at.is_(None)))
    assert {row["session_id"] for row in held} == {row["session_id"] for row in taken}
    assert len(held) == 30


async def test_fifty_admissions_at_once_get_exactly_the_places(database: Database) -> None:
    """Of 50 admissions over 50 connections of two processes to 20 places, 20 succeed."""
    account_id, avatar_id = await database.account(places=20), await database.avatar()
    wanted = [(f"sess_{number}", account_id, avatar_id) for number in range(50)]
    outcomes = await race(database.url, admit, [wanted[:25], wanted[25:]])
    assert outcomes == {"admitted": 20, "CONCURRENCY_LIMIT_REACHED": 30}
    assert (await database.accounts.concurrency(account_id)).current == 20


async def test_an_avatar_knows_why_it_leaves(database: Database) -> None:
    """The end's reason; that it moved where another generation has the lease; and else that it is over."""
    ended, moved = await database.admitted(2)
    await database.server(slots=4)
    for session_id in (ended, moved):
        await database.leases.claim(session_id, 1)
        assert await database.leases.farewell(session_id, 1) == "session_ended"
    await database.sessions.end(ended, "expired")
    await database.leases.claim(moved, 2)
    await database.sessions.end(moved, "removed")
    said = [await database.leases.farewell(name, number) for name, number in ((ended, 1), (moved, 1), (moved, 2))]
    assert said == ["expired", "moved", "removed"]
    assert await database.leases.farewell("sess_never", 1) == "session_ended"
