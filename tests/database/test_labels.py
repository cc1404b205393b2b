"""Constraints of leases: what plans and accounts require of servers, in every claim and in the line."""

from collections import Counter

import pytest
from sqlalchemy import select

from database.account_admin import AccountAdmin
from database.tables import leases
from domain.failures import FailureCode, Refused
from support.database_racers import claim, race, serve_any
from support.databases import Database


async def requiring(database: Database, **labels: str) -> str:
    """An account whose plan requires labels; its id."""
    return await database.account(requires=labels or None)


async def admitted(database: Database, account_id: str) -> str:
    """A session of an account in state `created`."""
    return (await database.admit(account_id, await database.avatar()))[0]


async def refused(database: Database, session_id: str, *, wait_s: float = 60) -> Refused:
    """The refusal of a claim in turn."""
    with pytest.raises(Refused) as refusal:
        await database.leases.claim_in_turn(session_id, wait_s=wait_s)
    return refusal.value


async def test_a_session_is_served_where_its_plan_and_account_want(database: Database) -> None:
    """The account's own word stands before the plan's; who requires nothing goes anywhere; more labels do no harm."""
    account_id = await requiring(database, region="eu")
    await database.server(slots=9)
    eu, us = await database.server(slots=3, region="eu", gpu="h100"), await database.server(slots=3, region="us")
    first = await admitted(database, account_id)
    assert (await database.leases.claim_in_turn(first)).boot_id == eu
    await AccountAdmin(database.engine).require(account_id, {"region": "us"})
    second = await admitted(database, account_id)
    assert (await database.leases.claim_in_turn(second)).boot_id == us
    await AccountAdmin(database.engine).require(account_id, {})
    assert (await database.leases.claim_in_turn(await admitted(database, account_id))).boot_id == eu
    listed = {one.boot_id: one.labels for one in await database.servers.listed()}
    assert listed[eu] == {"gpu": "h100", "region": "eu"}


async def test_a_failover_keeps_to_what_the_session_was_admitted_with(database: Database) -> None:
    """Whatever is required since; without such a server it finds none, although others are free."""
    account_id = await requiring(database, region="eu")
    first, second = await database.server(slots=1, region="eu"), await database.server(slots=1, region="eu")
    await database.server(slots=5)
    session_id = await admitted(database, account_id)
    await AccountAdmin(database.engine).require(account_id, {"region": "us"})
    boots = {(await database.leases.claim(session_id, number)).boot_id for number in (1, 2)}
    assert boots == {first, second}
    with pytest.raises(Refused) as refusal:
        await database.leases.claim(session_id, 3)
    assert refusal.value.code == FailureCode.AT_CAPACITY
    for boot in boots:
        await database.silence(boot, 70)
    with pytest.raises(Refused) as refusal:
        await database.leases.claim(session_id, 3)
    assert refusal.value.code == FailureCode.NO_MATCHING_SERVER


async def test_what_no_server_could_ever_serve_is_refused_at_once(database: Database) -> None:
    """It does not stand in line; a server that was there a moment ago is waited for, one that drains is not."""
    await database.server(slots=5, region="us")
    session_id = await admitted(database, await requiring(database, region="eu"))
    refusal = await refused(database, session_id)
    assert refusal.code == FailureCode.NO_MATCHING_SERVER
    assert "region=eu" in refusal.message
    assert refusal.details == {"requires": {"region": "eu"}}
    other = await admitted(database, await requiring(database))
    assert (await database.leases.claim_in_turn(other)).session_id == other
    boot = await database.server(slots=1, region="eu")
    await database.silence(boot, 20)
    assert (await refused(database, session_id)).code == FailureCode.AT_CAPACITY
    await database.servers.drain(boot)
    assert (await refused(database, session_id)).code == FailureCode.NO_MATCHING_SERVER


async def test_a_line_of_one_label_does_not_hold_up_others(database: Database) -> None:
    """Who waits for a GPU lets others pass, and has the GPU before them when there is one."""
    gpu, plain = await requiring(database, gpu="h100"), await requiring(database)
    boot = await database.server(slots=1, gpu="h100")
    holder, waiter, passer, late = [await admitted(database, one) for one in (gpu, gpu, plain, plain)]
    await database.leases.claim_in_turn(holder)
    assert (await refused(database, waiter)).code == FailureCode.AT_CAPACITY
    other = await database.server(slots=1)
    assert (await database.leases.claim_in_turn(passer)).boot_id == other
    assert (await refused(database, late)).details == {"ahead": 1, "waiting": 1}
    await database.sessions.end(holder, "ended_by_request")
    await database.servers.renew(boot, [])
    assert (await refused(database, late)).code == FailureCode.AT_CAPACITY
    assert (await database.leases.claim_in_turn(waiter)).boot_id == boot


async def test_a_replacement_takes_the_olders_slot_only_where_it_may_be(database: Database) -> None:
    """The older session's server has not what the account requires since: the newer one does not take its slot."""
    account_id, avatar_id = await requiring(database), await database.avatar()
    await database.server(slots=1)
    older, _ = await database.admit(account_id, avatar_id, duplicate_key="same")
    await database.leases.claim_in_turn(older, duplicate_key="same")
    await AccountAdmin(database.engine).require(account_id, {"region": "eu"})
    newer, _ = await database.admit(account_id, avatar_id, duplicate_key="same")
    with pytest.raises(Refused) as refusal:
        await database.leases.claim_in_turn(newer, duplicate_key="same")
    assert refusal.value.code == FailureCode.NO_MATCHING_SERVER
    session = await database.sessions.get(older)
    assert session is not None
    assert session.ended_at is None


async def test_processes_that_claim_at_once_get_what_they_may(database: Database) -> None:
    """Of forty claims of two processes to eight slots of each kind, each kind's are taken, and nobody is misplaced."""
    eu, us = [await requiring(database, region=region) for region in ("eu", "us")]
    boots = {await database.server(slots=8, region=region): region for region in ("eu", "us")}
    wanted = {await admitted(database, one): region for _ in range(20) for one, region in ((eu, "eu"), (us, "us"))}
    for boot in boots:
        await database.silence(boot, -60)
    found = list(wanted)
    assert await race(database.url, claim, [found[::3], [*found[1::3], *found[2::3]]]) == {
        "claimed": 16,
        "AT_CAPACITY": 24,
    }
    held = await database.rows(select(leases.c.session_id, leases.c.boot_id))
    assert all(boots[row["boot_id"]] == wanted[row["session_id"]] for row in held)
    assert Counter(boots[row["boot_id"]] for row in held) == {"eu": 8, "us": 8}


async def test_a_mixed_line_of_two_processes_is_served_to_its_end(database: Database) -> None:
    """Thirty creates, some with a region and some with none, stand for three slots: all are served, none misplaced."""
    accounts = [await requiring(database, **one) for one in ({"region": "eu"}, {"region": "us"}, {})]
    boots = [await database.server(slots=2, region="eu"), await database.server(slots=1, region="us")]
    found = [await admitted(database, accounts[number % 3]) for number in range(30)]
    for boot in boots:
        await database.silence(boot, -300)
    shares = [[(one, tuple(boots)) for one in found[start::2]] for start in (0, 1)]
    assert await race(database.url, serve_any, shares) == {"served": 30}
    rows = await database.rows(select(leases.c.session_id, leases.c.boot_id))
    assert len(rows) == 30
    for row in rows:
        number = found.index(row["session_id"]) % 3
        assert number == 2 or row["boot_id"] == boots[number]
