"""Whose a create is: the first one's, until that one is over (rule 1)."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from database.creates import Found
from database.instants import from_now
from database.tables import creates
from domain.failures import FailureCode, Refused
from domain.repeats import Course
from support.database_racers import race, remember
from support.databases import Database

KEY = "k" * 64


async def claim(database: Database, account_id: str, session_id: str, **how: Any) -> Found:
    """A claim by Idempotency-Key, unless said otherwise."""
    usual: dict[str, Any] = {"repeat_key": KEY, "keyed": True, "body_mac": "mac"}
    wanted = {**usual, **how}
    same = wanted["body_mac"].__eq__
    return await database.creates.claim(account_id=account_id, session_id=session_id, is_same_body=same, **wanted)


async def let_expire(database: Database) -> None:
    """Let every create's time be over."""
    await database.run(update(creates).values(expires_at=from_now(-1)))


def mine(session_id: str) -> Found:
    """A create that begins."""
    return Found(session_id=session_id, course=Course.BEGIN)


@pytest.mark.parametrize("keyed", [True, False])
async def test_a_repeat_finds_the_first_session(database: Database, keyed: bool) -> None:
    """Before its session is admitted, while it is being created, and when it runs; another account finds nothing."""
    account_id, avatar_id = await database.account(), await database.avatar()
    assert await claim(database, account_id, "sess_1", keyed=keyed) == mine("sess_1")
    assert await claim(database, account_id, "sess_2", keyed=keyed) == Found(session_id="sess_1", course=Course.JOIN)
    await database.admit(account_id, avatar_id, session_id="sess_1")
    assert (await claim(database, account_id, "sess_3", keyed=keyed)).course is Course.JOIN
    await database.server(slots=1)
    await database.leases.claim("sess_1", 1)
    await database.sessions.start("sess_1", 1, 3600, 3600)
    await let_expire(database)
    assert await claim(database, account_id, "sess_4", keyed=keyed) == Found(session_id="sess_1", course=Course.ANSWER)
    assert await claim(database, await database.account(), "sess_5", keyed=keyed) == mine("sess_5")


async def test_after_the_end_a_key_still_finds_its_session_and_a_body_does_not(database: Database) -> None:
    """For a day; then the key is free again."""
    account_id = await database.account()
    for keyed, found in ((True, Course.ANSWER), (False, Course.BEGIN)):
        session_id = await database.started()
        how = {"keyed": keyed, "repeat_key": str(keyed)}
        await claim(database, account_id, session_id, **how)
        await database.sessions.end(session_id, "ended_by_request")
        assert (await claim(database, account_id, f"new {keyed}", **how)).course is found
    await let_expire(database)
    assert await claim(database, account_id, "newest", repeat_key="True") == mine("newest")


async def test_another_body_under_the_same_key_is_refused(database: Database) -> None:
    """And changes nothing."""
    account_id = await database.account()
    await claim(database, account_id, "sess_1")
    with pytest.raises(Refused) as refusal:
        await claim(database, account_id, "sess_2", body_mac="other")
    assert refusal.value.code == FailureCode.IDEMPOTENCY_KEY_REUSED
    assert (await claim(database, account_id, "sess_3")).session_id == "sess_1"


async def test_a_final_refusal_is_repeated_and_what_is_worth_another_try_is_not(database: Database) -> None:
    """The refusal comes back with its message and details; after AT_CAPACITY the same key makes a new session."""
    account_id = await database.account()
    await claim(database, account_id, "sess_1")
    await database.creates.refuse("sess_1", Refused(FailureCode.AT_CAPACITY, "full", details={"ahead": 1}))
    assert await claim(database, account_id, "sess_2") == mine("sess_2")
    assert (await claim(database, account_id, "sess_3")).session_id == "sess_2"
    await database.creates.refuse("sess_1", Refused(FailureCode.NO_FACE, "of an earlier session"))
    await database.creates.refuse("sess_2", Refused(FailureCode.NO_FACE, "no face", details={"faces": 0}))
    with pytest.raises(Refused) as refusal:
        await claim(database, account_id, "sess_4")
    again = refusal.value
    assert (again.code, again.message, again.details) == (FailureCode.NO_FACE, "no face", {"faces": 0})


async def test_a_refusal_without_a_key_leaves_no_row(database: Database) -> None:
    """The next request begins a new session."""
    account_id = await database.account()
    await claim(database, account_id, "sess_1", keyed=False)
    await database.creates.refuse("sess_1", Refused(FailureCode.NO_FACE, "no face"))
    assert await database.rows(select(creates)) == []
    assert await claim(database, account_id, "sess_2", keyed=False) == mine("sess_2")


async def test_what_no_repeat_would_find_is_swept(database: Database) -> None:
    """A row goes when its time is over and its session does not live."""
    account_id, avatar_id = await database.account(), await database.avatar()
    for number in range(4):
        await claim(database, account_id, f"sess_{number}", repeat_key=str(number))
    for number in (1, 2):
        await database.admit(account_id, avatar_id, session_id=f"sess_{number}")
    await database.sessions.end("sess_2", "ended_by_request")
    assert await database.creates.sweep() == 0
    await database.run(update(creates).where(creates.c.repeat_key != "3").values(expires_at=from_now(-1)))
    assert await database.creates.sweep() == 2
    left = await database.rows(select(creates.c.session_id).order_by(creates.c.session_id))
    assert [row["session_id"] for row in left] == ["sess_1", "sess_3"]


async def test_a_key_is_remembered_for_a_day(database: Database) -> None:
    """What has none is remembered for as long as a create may take, and then by its session."""
    account_id = await database.account()
    for keyed, lasts in ((True, timedelta(hours=24)), (False, timedelta(minutes=15))):
        await claim(database, account_id, f"sess_{keyed}", keyed=keyed, repeat_key=str(keyed))
        found = await database.rows(
            select(creates.c.expires_at, from_now(0).label("now")).where(creates.c.keyed.is_(keyed))
        )
        assert abs(found[0]["expires_at"] - found[0]["now"] - lasts) < timedelta(minutes=1)


@pytest.mark.parametrize("keyed", [True, False])
async def test_of_repeats_at_once_one_begins(database: Database, keyed: bool) -> None:
    """Twenty repeats of five creates, by two processes: of each create one begins, and the others find that one."""
    account_id = await database.account()
    wanted = [(account_id, f"key {number % 5}", keyed, f"sess_{number}") for number in range(20)]
    outcomes = await race(database.url, remember, [wanted[::2], wanted[1::2]])
    began = {outcome for outcome in outcomes if outcome.startswith("begin")}
    assert len(began) == 5
    assert sum(outcomes.values()) == 20
    rows = await database.rows(select(creates.c.session_id))
    assert {f"begin {row['session_id']}" for row in rows} == began
    assert {outcome.split()[1] for outcome in outcomes} == {row["session_id"] for row in rows}


async def test_repeats_after_a_refusal_at_once_begin_one_new_session(database: Database) -> None:
    """Whoever comes first swaps the row; the others find what it was swapped to."""
    account_id = await database.account()
    await claim(database, account_id, "sess_0")
    await database.creates.refuse("sess_0", Refused(FailureCode.AT_CAPACITY, "full"))
    found = await asyncio.gather(*(claim(database, account_id, f"sess_{number}") for number in range(1, 9)))
    assert sorted(one.course for one in found) == [Course.BEGIN, *[Course.JOIN] * 7]
    assert len({one.session_id for one in found}) == 1
