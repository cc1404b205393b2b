"""Reservations while a session runs, and its bill: one row, in the transaction of its end."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from database.instants import from_now
from database.reservations import Reservations
from database.tables import accounts, charges, leases, minute_packs, plans, session_events, sessions
from database.usage import UsageReading
from domain.leases import Serving
from domain.session import Bill
from support.databases import Database


async def running(database: Database, account_id: str, *, attended: bool = True) -> tuple[str, str]:
    """A started session on a server of its own, generation 1: its id and its server's boot id."""
    boot = await database.server(slots=1)
    session_id, _ = await database.admit(account_id, await database.avatar())
    await database.leases.claim(session_id, 1)
    await database.sessions.start(session_id, 1, None, 86_400)
    if attended:
        await Reservations(database.engine).attend(session_id)
    return session_id, boot


async def serve(database: Database, session_id: str, boot: str, minutes: float, generation: int = 1) -> None:
    """Let a server renew its lease with so much served time."""
    served = Serving(session_id=session_id, generation=generation, served_ms=round(minutes * 60_000))
    await database.servers.renew(boot, [served])


async def bill_of(database: Database, session_id: str) -> Bill | None:
    """The session's bill as clients see it."""
    session = await database.sessions.get(session_id)
    assert session is not None
    return session.billing


async def pack(
    database: Database, account_id: str, pack_id: str, minutes: int, *, days_ago: int = 0, **more: Any
) -> None:
    """Minutes that were bought some days ago."""
    row = {"pack_id": pack_id, "account_id": account_id, "minutes": minutes, "minutes_left": minutes, **more}
    await database.run(insert(minute_packs).values(bought_at=from_now(-days_ago * 86_400.0), **row))


async def stop_of(database: Database, session_id: str) -> str:
    """What the avatar's server is told that the session will end as: it warns the room before."""
    (row,) = await database.rows(select(leases.c.stop_reason).where(leases.c.session_id == session_id))
    return str(row["stop_reason"])


async def left(database: Database) -> dict[str, int]:
    """What is left of each pack."""
    return {row["pack_id"]: row["minutes_left"] for row in await database.rows(select(minute_packs))}


async def whole(database: Database) -> bool:
    """Can every bill be recomputed?"""
    return await UsageReading(database.engine).breaches() == []


async def test_the_bill_is_what_was_served_rounded_up_once(database: Database) -> None:
    """Over all generations, without the gap between them; a later renewal and a second end change nothing."""
    account_id = await database.account(included_minutes=30)
    session_id, boot = await running(database, account_id)
    await serve(database, session_id, boot, 1.4)
    other = await database.server(slots=1)
    await database.leases.claim(session_id, 2)
    await serve(database, session_id, other, 1.4, generation=2)
    assert await bill_of(database, session_id) is None
    await database.sessions.end(session_id, "expired")
    expected = Bill(minutes=3, included=3, purchased=0)
    assert await bill_of(database, session_id) == expected
    await serve(database, session_id, other, 9, generation=2)
    await database.sessions.end(session_id, "ended_by_request")
    (row,) = await database.rows(select(charges))
    assert (row["served_ms"], row["minutes"], row["packs"]) == (168_000, 3, {})
    assert await bill_of(database, session_id) == expected
    assert await whole(database)


async def test_a_session_that_nobody_joined_costs_nothing(database: Database) -> None:
    """Unless the end itself says that somebody was there, which the workflow may not have noted yet."""
    account_id = await database.account(included_minutes=30)
    for attended, minutes in ((False, 0), (True, 2)):
        session_id, boot = await running(database, account_id, attended=False)
        await serve(database, session_id, boot, 1.2)
        await database.sessions.end(session_id, "nobody_joined", attended=attended)
        assert await bill_of(database, session_id) == Bill(minutes=minutes, included=minutes, purchased=0)
    assert await whole(database)


async def test_a_create_that_failed_has_no_bill(database: Database) -> None:
    """It served nothing to anybody."""
    session_id, _ = await database.admit(await database.account(included_minutes=30), await database.avatar())
    await database.sessions.end(session_id, "AT_CAPACITY")
    assert await bill_of(database, session_id) is None
    assert await database.rows(select(charges)) == []
    assert await whole(database)


async def test_included_minutes_come_first_then_packs_first_in_first_out(database: Database) -> None:
    """A pack that has expired gives nothing, and one that is used up is left for the next."""
    account_id = await database.account(included_minutes=2)
    await pack(database, account_id, "new", 10, days_ago=1)
    await pack(database, account_id, "old", 3, days_ago=9)
    await pack(database, account_id, "gone", 9, days_ago=30, expires_at=from_now(-60))
    session_id, boot = await running(database, account_id)
    await serve(database, session_id, boot, 7)
    await database.sessions.end(session_id, "ended_by_request")
    assert await bill_of(database, session_id) == Bill(minutes=7, included=2, purchased=5)
    assert await left(database) == {"new": 8, "old": 0, "gone": 9}
    assert await whole(database)


async def test_the_next_slice_is_held_before_the_last_one_ends(database: Database) -> None:
    """Ten by ten, then the rest, then the same answer again; a repeat takes nothing twice; bought minutes help."""
    account_id = await database.account(included_minutes=25)
    session_id, _ = await running(database, account_id)
    reservations = Reservations(database.engine)
    assert await reservations.extend(session_id, 600) == 1200
    assert await reservations.extend(session_id, 600) == 1200
    assert await reservations.extend(session_id, 1200) == 1500
    assert await stop_of(database, session_id) == "expired"
    assert await reservations.extend(session_id, 1500) == 1500
    assert await stop_of(database, session_id) == "minutes_exhausted"
    await pack(database, account_id, "bought", 4)
    assert await reservations.extend(session_id, 1500) == 1740
    assert await stop_of(database, session_id) == "expired"
    await database.sessions.end(session_id, "ended_by_request")
    assert await reservations.extend(session_id, 1740) == 1740
    (_, again) = await database.admission(account_id, await database.avatar())
    assert again.reserved_minutes == 10


async def test_a_plan_that_became_unlimited_needs_no_more_slices(database: Database) -> None:
    """The session goes on without a timer, and all it was served is billed to the plan."""
    account_id = await database.account(included_minutes=10)
    session_id, boot = await running(database, account_id)
    await database.run(update(plans).values(included_minutes=None))
    assert await Reservations(database.engine).extend(session_id, 600) is None
    await serve(database, session_id, boot, 15)
    await database.sessions.end(session_id, "ended_by_request")
    assert await bill_of(database, session_id) == Bill(minutes=15, included=15, purchased=0)
    assert await whole(database)


async def test_a_lowered_plan_lets_a_session_use_what_it_holds(database: Database) -> None:
    """New ones are refused at once; what the running one was served is billed, and no more than it held."""
    account_id = await database.account(included_minutes=60)
    session_id, boot = await running(database, account_id)
    await database.run(update(plans).values(included_minutes=1))
    assert await Reservations(database.engine).extend(session_id, 600) == 600
    await serve(database, session_id, boot, 10.02)
    await database.sessions.end(session_id, "minutes_exhausted")
    assert await bill_of(database, session_id) == Bill(minutes=10, included=10, purchased=0)
    usage = await UsageReading(database.engine).of(account_id)
    assert (usage.minutes.total_remaining, usage.minutes.included_used) == (0, 10)
    assert await whole(database)


async def test_usage_shows_running_minutes_not_reservations(database: Database) -> None:
    """450 served seconds are 8 active minutes; who was joined by nobody has none."""
    account_id = await database.account(included_minutes=60, places=5, avatar_allowance=4)
    session_id, boot = await running(database, account_id)
    await running(database, account_id, attended=False)
    await serve(database, session_id, boot, 7.5)
    usage = await UsageReading(database.engine).of(account_id)
    assert (usage.minutes.active, usage.minutes.reserved) == (8, 20)
    assert (usage.minutes.included_remaining, usage.minutes.total_remaining) == (52, 52)
    assert (usage.concurrency.current, usage.concurrency.max, usage.pictures) == (2, 5, 0)
    assert len(usage.sessions) == 2
    assert usage.period.start <= usage.sessions[0].created_at < usage.period.end


async def test_minutes_of_the_period_before_are_not_counted(database: Database) -> None:
    """A subscription's period begins on its day; with the next one the plan's minutes are whole again."""
    account_id = await database.account(included_minutes=10)
    session_id, boot = await running(database, account_id)
    await serve(database, session_id, boot, 9)
    await database.sessions.end(session_id, "ended_by_request")
    assert (await UsageReading(database.engine).of(account_id)).minutes.total_remaining == 1
    await database.run(update(charges).values(charged_at=from_now(-40 * 86_400)))
    await database.run(update(accounts).values(created_at=from_now(-70 * 86_400)))
    usage = await UsageReading(database.engine).of(account_id)
    assert usage.minutes.total_remaining == 10
    assert timedelta(days=27) < usage.period.end - usage.period.start < timedelta(days=32)


async def test_ends_at_once_charge_nothing_twice(database: Database) -> None:
    """Ten sessions of one account end twice at the same moment: ten bills, and the packs have lost exactly that."""
    account_id = await database.account(included_minutes=5)
    await pack(database, account_id, "first", 10, days_ago=2)
    await pack(database, account_id, "second", 100, days_ago=1)
    found = [await running(database, account_id) for _ in range(10)]
    for session_id, boot in found:
        await serve(database, session_id, boot, 1.5)
    ends = [database.sessions.end(session_id, reason) for session_id, _ in found for reason in ("expired", "removed")]
    await asyncio.gather(*ends)
    rows = await database.rows(select(charges))
    assert [row["minutes"] for row in rows] == [2] * 10
    assert sum(row["included_minutes"] for row in rows) == 5
    assert await left(database) == {"first": 0, "second": 95}
    assert await whole(database)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (update(charges).values(served_ms=1), "was billed for 1 ms and was served 120000 ms"),
        (update(charges).values(minutes=9, included_minutes=9), "was billed 9 minutes for 120000 ms"),
        (update(minute_packs).values(minutes_left=5), "has lost 5 minutes, bills name 0"),
        (charges.delete(), "has ended and has no bill"),
        (update(session_events).values(details={"served_ms": 7, "minutes": 1}), "its audit trail says {'served_ms': 7"),
    ],
)
async def test_a_wrong_ledger_is_found(database: Database, damage: Any, says: str) -> None:
    """The check would see what it is there for."""
    account_id = await database.account(included_minutes=10)
    await pack(database, account_id, "bought", 10)
    session_id, boot = await running(database, account_id)
    await serve(database, session_id, boot, 2)
    await database.sessions.end(session_id, "ended_by_request")
    assert await whole(database)
    await database.run(damage)
    found = await UsageReading(database.engine).breaches()
    assert any(says in sentence for sentence in found)
    assert await UsageReading(database.engine).breaches(account_id) == found
    assert await UsageReading(database.engine).breaches("acct_other") == []


async def test_attendance_is_noted_once(database: Database) -> None:
    """The first time stays, and a session that has ended is left as it is."""
    session_id, _ = await running(database, await database.account())
    (first,) = await database.rows(select(sessions.c.attended_at))
    await Reservations(database.engine).attend(session_id)
    assert (await database.rows(select(sessions.c.attended_at))) == [first]
    await database.sessions.end(session_id, "expired")
    await Reservations(database.engine).attend("sess_0")
