"""Waiting in line for a slot (rule 12), and taking the slot of a session that is replaced (rule 5)."""

import pytest
from sqlalchemy import select, update

from database.instants import from_now
from database.leases import Leases
from database.tables import leases, sessions, slots, waiting
from domain.failures import FailureCode, Refused
from domain.leases import Serving
from support.counting import Counted
from support.database_racers import claim_in_turn, race, serve_in_turn
from support.databases import Database


async def at_capacity(database: Database, session_id: str, *, wait: float = 10, longest_line: int = 100) -> object:
    """The details of a try that must find no slot for the session."""
    with pytest.raises(Refused) as refusal:
        await Leases(database.engine, longest_line).claim_in_turn(session_id, wait_s=wait)
    assert refusal.value.code == FailureCode.AT_CAPACITY
    return refusal.value.details


async def line(database: Database) -> list[str]:
    """Who stands in line, as they came."""
    rows = await database.rows(select(waiting.c.session_id).order_by(waiting.c.entered_at, waiting.c.session_id))
    return [row["session_id"] for row in rows]


async def a_server(database: Database, *, slots: int = 1) -> str:
    """A server that stays live for a minute, however long the machine stands still."""
    boot = await database.server(slots=slots)
    await database.silence(boot, -60)
    return boot


async def let_go(database: Database, boot: str, session_id: str) -> None:
    """End a session whose process is gone: its server's next renewal frees the slot."""
    await database.sessions.end(session_id, "ended_by_request")
    await database.servers.renew(boot, [])


async def test_a_free_slot_is_taken_at_once(database: Database) -> None:
    """Nobody stands in line where nobody has to; a repeat finds its own lease."""
    await database.server(slots=1)
    (session_id,) = await database.admitted()
    lease = await database.leases.claim_in_turn(session_id, wait_s=10)
    assert await database.leases.claim_in_turn(session_id, wait_s=10) == lease
    assert lease.generation == 1
    assert await line(database) == []


async def test_whoever_came_first_is_served_first(database: Database) -> None:
    """Each is told where it stands; a later one and a newcomer get no slot that an earlier one waits for."""
    boot = await database.server(slots=1)
    holder, first, second, newcomer = await database.admitted(4)
    await database.leases.claim_in_turn(holder)
    assert await at_capacity(database, first) == {"ahead": 0, "waiting": 0}
    assert await at_capacity(database, second) == {"ahead": 1, "waiting": 1}
    await let_go(database, boot, holder)
    assert await at_capacity(database, newcomer, wait=0) == {"ahead": 2, "waiting": 2}
    assert await at_capacity(database, second) == {"ahead": 1, "waiting": 1}
    await database.leases.claim_in_turn(first, wait_s=10)
    assert await line(database) == [second]


async def test_time_in_line_is_counted_once_for_who_gets_a_slot(database: Database) -> None:
    """None for who finds one free; since it came, for who waited; a repeat and a further generation count no more."""
    counted, boot = Counted(), await a_server(database)
    holder, waiter = await database.admitted(2)
    await database.leases.claim_in_turn(holder)
    assert (counted["line_wait_seconds_count"], counted["line_wait_seconds_sum"]) == (1, 0)
    await at_capacity(database, waiter)
    await database.run(update(waiting).values(entered_at=from_now(-3)))
    await let_go(database, boot, holder)
    await database.leases.claim_in_turn(waiter, wait_s=10)
    await database.leases.claim_in_turn(waiter, wait_s=10)
    assert counted["line_wait_seconds_count"] == 2
    assert 3 <= counted["line_wait_seconds_sum"] < 60


async def test_as_many_are_served_as_there_are_slots(database: Database) -> None:
    """With two free slots the second in line need not wait for the first, and the third still does."""
    await database.server(slots=0)
    first, second, third = await database.admitted(3)
    for session_id in (first, second, third):
        await at_capacity(database, session_id)
    await database.server(slots=2)
    assert await at_capacity(database, third) == {"ahead": 2, "waiting": 2}
    await database.leases.claim_in_turn(second)
    await database.leases.claim_in_turn(first)
    assert await at_capacity(database, third) == {"ahead": 0, "waiting": 0}


async def test_accounts_take_turns(database: Database) -> None:
    """One account's many creates do not hold up another's first."""
    greedy, avatar_id = await database.account(), await database.avatar()
    crowd = [(await database.admit(greedy, avatar_id))[0] for _ in range(3)]
    for session_id in crowd:
        await at_capacity(database, session_id)
    (modest,) = await database.admitted()
    assert await at_capacity(database, modest) == {"ahead": 1, "waiting": 3}
    assert await at_capacity(database, crowd[1]) == {"ahead": 2, "waiting": 3}


async def test_the_line_is_bounded(database: Database) -> None:
    """Whoever comes to a full line is told so and does not enter; those who are in it stay in it."""
    first, second, third = await database.admitted(3)
    for session_id in (first, second):
        await at_capacity(database, session_id, longest_line=2)
    assert await at_capacity(database, third, longest_line=2) == {"ahead": 2, "waiting": 2}
    await at_capacity(database, second, longest_line=2)
    assert await line(database) == [first, second]


async def test_who_does_not_wait_does_not_enter(database: Database) -> None:
    """A create with nothing left to wait is refused, and stands in nobody's way."""
    (session_id,) = await database.admitted()
    await at_capacity(database, session_id, wait=0)
    assert await line(database) == []


async def test_an_entry_that_nobody_tries_for_is_void(database: Database) -> None:
    """The next one is served; an entry that is tried for again has kept its place."""
    first, second = await database.admitted(2)
    for session_id in (first, second):
        await at_capacity(database, session_id)
    await database.run(update(waiting).where(waiting.c.session_id == first).values(expires_at=from_now(-1)))
    assert await at_capacity(database, second) == {"ahead": 0, "waiting": 0}
    assert await at_capacity(database, first) == {"ahead": 0, "waiting": 1}
    assert await at_capacity(database, second) == {"ahead": 1, "waiting": 1}
    await database.run(update(waiting).where(waiting.c.session_id == first).values(expires_at=from_now(-3600)))
    await at_capacity(database, second)
    assert await line(database) == [second]


async def test_an_end_frees_the_entry_at_once(database: Database) -> None:
    """Nobody waits behind a create that has been given up."""
    first, second = await database.admitted(2)
    for session_id in (first, second):
        await at_capacity(database, session_id)
    await database.sessions.end(first, "CREATE_CANCELLED")
    assert await line(database) == [second]
    assert await at_capacity(database, second) == {"ahead": 0, "waiting": 0}


async def test_a_running_session_goes_before_the_line(database: Database) -> None:
    """A further generation takes a slot that others wait for: its room has lost its picture."""
    running = await database.started()
    (waits,) = await database.admitted()
    await at_capacity(database, waits)
    boot = await database.server(slots=1)
    assert (await database.leases.claim(running, 2)).boot_id == boot
    await at_capacity(database, waits)


async def test_as_many_as_there_are_slots_and_the_others_in_line(database: Database) -> None:
    """K slots and K+N creates at once by two processes: K served, N in line; then K slots come free for the next K."""
    boot = await database.server(slots=3)
    left = await database.admitted(12)
    for turn in range(2):
        # The processes take a moment to start, in which nobody renews and nobody tries.
        await database.silence(boot, -60)
        await database.run(update(waiting).values(expires_at=from_now(60)))
        before = await line(database)
        outcomes = await race(database.url, claim_in_turn, [left[::2], left[1::2]])
        won = {outcome.split()[1] for outcome in outcomes if outcome.startswith("claimed")}
        assert outcomes["AT_CAPACITY"] == len(left) - 3
        held = await database.rows(select(leases.c.session_id).where(leases.c.revoked_at.is_(None)))
        taken = await database.rows(select(slots.c.session_id).where(slots.c.session_id.is_not(None)))
        assert sorted(row["session_id"] for row in held) == sorted(row["session_id"] for row in taken) == sorted(won)
        assert len(won) == 3
        assert turn == 0 or won == set(before[:3])
        left = [session_id for session_id in left if session_id not in won]
        assert set(await line(database)) == set(left)
        for session_id in won:
            await let_go(database, boot, session_id)


async def test_everybody_is_served_in_the_end(database: Database) -> None:
    """Twenty creates of four accounts by two processes on three slots: each is served, and never more than three."""
    boot = await database.server(slots=3)
    await database.silence(boot, -60)
    crowd = [await database.admitted(5) for _ in range(4)]
    wanted = [(session_id, boot) for sessions_of_one in crowd for session_id in sessions_of_one]
    outcomes = await race(database.url, serve_in_turn, [wanted[::2], wanted[1::2]])
    assert outcomes == {"served": 20}
    assert await line(database) == []
    await database.servers.renew(boot, [])
    assert await database.servers.capacity() == (3, 3)


# --- a session that replaces another ------------------------------------------------------------------------------


async def alike(database: Database, account_id: str, count: int = 2, key: str = "d" * 64) -> list[str]:
    """Sessions whose avatars are the same participant of the same room, each admitted after the one before."""
    avatar_id = await database.avatar()
    return [(await database.admit(account_id, avatar_id, duplicate_key=key))[0] for _ in range(count)]


async def ended_as(database: Database, session_id: str) -> str | None:
    """The reason that a session ended for."""
    session = await database.sessions.get(session_id)
    assert session is not None
    return session.end_reason


@pytest.mark.parametrize("free", [0, 1])
async def test_a_newer_session_takes_the_older_ones_place_and_slot(database: Database, free: int) -> None:
    """The older one ends as replaced when the newer has a slot: a free one, or where there is none the older's own."""
    account_id = await database.account(places=1)
    boot = await a_server(database)
    older, newer = await alike(database, account_id)
    await database.leases.claim_in_turn(older, duplicate_key="d" * 64)
    other = await a_server(database) if free else boot
    lease = await database.leases.claim_in_turn(newer, duplicate_key="d" * 64)
    assert lease.boot_id == other
    assert await ended_as(database, older) == "replaced"
    assert not (await database.leases.look(older, 1)).held
    assert (await database.accounts.concurrency(account_id)).current == 1
    serving = [Serving(session_id=older, generation=1, served_ms=5)]
    assert (await database.servers.renew(boot, serving)).held == (set() if free else {(newer, 1)})
    taken = await database.rows(select(slots.c.session_id).where(slots.c.boot_id == other))
    assert [row["session_id"] for row in taken] == [newer]


async def test_before_it_has_a_slot_a_newer_session_changes_nothing(database: Database) -> None:
    """Without a free slot and without one of the older's own it waits, and the older lives."""
    account_id = await database.account(places=1)
    older, newer = await alike(database, account_id)
    with pytest.raises(Refused):
        await database.leases.claim_in_turn(newer, duplicate_key="d" * 64, wait_s=10)
    assert await ended_as(database, older) is None
    await database.sessions.end(newer, "CREATE_CANCELLED")
    assert (await database.accounts.concurrency(account_id)).current == 1


async def test_the_line_does_not_hold_up_a_session_that_has_its_elders_slot(database: Database) -> None:
    """The slot was never free."""
    account_id = await database.account()
    await a_server(database)
    older, newer = await alike(database, account_id)
    await database.leases.claim_in_turn(older)
    (waits,) = await database.admitted()
    await at_capacity(database, waits)
    await database.leases.claim_in_turn(newer, duplicate_key="d" * 64)
    assert await line(database) == [waits]


async def test_an_older_session_does_not_end_a_newer_one(database: Database) -> None:
    """Whoever was admitted last stays, in whatever order they get their slots."""
    account_id = await database.account(places=1)
    await a_server(database, slots=3)
    first, second, third = await alike(database, account_id, 3)
    await database.leases.claim_in_turn(second, duplicate_key="d" * 64)
    assert [await ended_as(database, one) for one in (first, second, third)] == ["replaced", None, None]
    await database.leases.claim_in_turn(third, duplicate_key="d" * 64)
    assert await ended_as(database, second) == "replaced"
    with pytest.raises(Refused) as refusal:
        await database.leases.claim_in_turn(first, duplicate_key="d" * 64)
    assert refusal.value.details == {"end_reason": "replaced"}


async def test_replacing_shares_a_place_and_nothing_else_does(database: Database) -> None:
    """At the plan's limit a session that replaces one is admitted, another is not; after the end the place is free."""
    account_id, avatar_id = await database.account(places=1), await database.avatar()
    older, newer = await alike(database, account_id)
    assert (await database.accounts.concurrency(account_id)).current == 1
    with pytest.raises(Refused) as refusal:
        await database.admit(account_id, avatar_id)
    assert refusal.value.code == FailureCode.CONCURRENCY_LIMIT_REACHED
    for session_id in (older, newer):
        await database.sessions.end(session_id, "ended_by_request")
    _, concurrency = await database.admit(account_id, avatar_id, duplicate_key="d" * 64)
    assert (concurrency.current, concurrency.max) == (1, 1)


async def test_duplicates_at_once_leave_one(database: Database) -> None:
    """Twelve sessions of one participant claim at once by two processes: one lives, on one slot, in one place."""
    account_id = await database.account(places=1)
    boot = await database.server(slots=2)
    found = await alike(database, account_id, 12)
    await database.silence(boot, -60)
    wanted = [f"{session_id} {'d' * 64}" for session_id in found]
    await race(database.url, claim_in_turn, [wanted[::2], wanted[1::2]])
    live = await database.rows(select(sessions.c.session_id).where(sessions.c.ended_at.is_(None)))
    assert [row["session_id"] for row in live] == [found[-1]]
    held = await database.rows(select(leases.c.session_id).where(leases.c.revoked_at.is_(None)))
    assert [row["session_id"] for row in held] == [found[-1]]
    assert (await database.accounts.concurrency(account_id)).current == 1
