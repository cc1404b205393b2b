"""What an admission reserves besides a place: minutes, and the making of an avatar; all or nothing."""

from typing import Any

import pytest
from sqlalchemy import select, update

from database.instants import from_now
from database.pictures import MAKING_S
from database.tables import made_avatars, session_events, sessions
from domain.failures import FailureCode, Refused
from domain.plans import UNLIMITED
from support.database_racers import admit, admit_picture, race
from support.databases import Database, an_avatar


async def refusal(refused: Any) -> Refused:
    """The refusal of an awaitable."""
    with pytest.raises(Refused) as caught:
        await refused
    return caught.value


async def new_picture(database: Database, account_id: str, session_id: str) -> str:
    """Admit a session with a picture; the id that its avatar gets."""
    avatar_id = f"avat_of_{session_id}"
    await database.admission(account_id, avatar_id, session_id=session_id, picture=True)
    return avatar_id


async def test_a_plan_without_limit_reserves_nothing(database: Database) -> None:
    """The minutes that are shown stay a number."""
    _, answer = await database.admission(await database.account(), await database.avatar())
    assert (answer.minutes_left, answer.reserved_minutes) == (UNLIMITED, None)


async def test_minutes_are_reserved_in_slices_of_ten(database: Database) -> None:
    """The last slice is what is left; then there is an answer with the numbers, and an end gives back what it held."""
    account_id, avatar_id = await database.account(included_minutes=25), await database.avatar()
    held = [await database.admission(account_id, avatar_id) for _ in range(3)]
    assert [answer.reserved_minutes for _, answer in held] == [10, 10, 5]
    assert {answer.minutes_left for _, answer in held} == {25}
    refused = await refusal(database.admission(account_id, avatar_id, session_id="sess_4"))
    assert refused.code == FailureCode.INSUFFICIENT_MINUTES
    assert refused.details is not None
    told = {name: value for name, value in refused.details.items() if name != "period_end"}
    assert told == {
        "included": 25,
        "included_remaining": 25,
        "purchased_remaining": 0,
        "total_remaining": 25,
        "reserved_by_sessions": 25,
    }
    assert await database.sessions.get("sess_4") is None
    await database.sessions.end(held[0][0], "ended_by_request")
    _, again = await database.admission(account_id, avatar_id, session_id="sess_4")
    assert again.reserved_minutes == 10
    assert (await database.admission(account_id, avatar_id, session_id="sess_4"))[1] == again


async def test_a_slice_is_no_longer_than_a_session_may_be(database: Database) -> None:
    """A plan of ninety seconds holds two minutes, so that a second session finds some too."""
    account_id, avatar_id = await database.account(seconds=90, included_minutes=3), await database.avatar()
    held = [(await database.admission(account_id, avatar_id))[1].reserved_minutes for _ in range(2)]
    assert held == [2, 1]


async def test_a_plan_that_is_not_paid_takes_no_picture(database: Database) -> None:
    """A stored avatar is shown all the same; a plan of no pictures at all refuses alike."""
    for limits in ({"paid": False}, {"avatar_allowance": 0}):
        account_id = await database.account(**limits)
        refused = await refusal(new_picture(database, account_id, "sess_1"))
        assert refused.code == FailureCode.PLAN_REQUIRED
        assert (await refusal(database.avatars.check_picture(account_id, new=False))).code == FailureCode.PLAN_REQUIRED
        assert await database.rows(select(made_avatars)) == []
        await database.admit(account_id, await database.avatar())


async def test_pictures_are_counted_until_they_fail(database: Database) -> None:
    """An avatar counts from its admission; one that is not made does not, one that is deleted does; so for uploads."""
    account_id = await database.account(avatar_allowance=2)
    first = await new_picture(database, account_id, "sess_1")
    await database.avatars.reserve("avat_2", account_id)
    await database.avatars.reserve("avat_2", account_id)
    for one in (
        new_picture(database, account_id, "sess_3"),
        database.avatars.reserve("avat_3", account_id),
        database.avatars.check_picture(account_id, new=True),
    ):
        refused = await refusal(one)
        assert refused.code == FailureCode.AVATAR_LIMIT_REACHED
        assert refused.details is not None
        assert (refused.details["limit"], refused.details["used"], refused.details["remaining"]) == (2, 2, 0)
    assert await database.sessions.get("sess_3") is None
    await database.avatars.check_picture(account_id, new=False)
    await database.sessions.end("sess_1", "NO_FACE")
    await database.avatars.forget(first)
    await database.avatars.register(an_avatar("avat_2", account_id), "2" * 64)
    await database.avatars.mark_deleted("avat_2", account_id)
    await new_picture(database, account_id, "sess_3")
    assert (await refusal(database.avatars.reserve("avat_4", account_id))).code == FailureCode.AVATAR_LIMIT_REACHED


@pytest.mark.parametrize("how", ["recognised", "twin"])
async def test_a_picture_that_is_known_counts_once(database: Database, how: str) -> None:
    """However it is found out that the account has it, what was reserved for another avatar of it is given back."""
    account_id = await database.account(avatar_allowance=2)
    await database.avatars.reserve("avat_1", account_id)
    await database.avatars.register(an_avatar("avat_1", account_id), "1" * 64)
    await database.avatars.reserve("avat_2", account_id)
    if how == "recognised":
        assert await database.avatars.recognise(account_id, "1" * 64, instead_of="avat_2") == "avat_1"
    else:
        assert await database.avatars.register(an_avatar("avat_2", account_id), "1" * 64) == "avat_1"
    assert [row["avatar_id"] for row in await database.rows(select(made_avatars))] == ["avat_1"]


async def test_a_reservation_that_nobody_kept_lapses(database: Database) -> None:
    """What died in mid-making, and was not undone, counts for ten minutes."""
    account_id = await database.account(avatar_allowance=1)
    await new_picture(database, account_id, "sess_1")
    await database.run(update(made_avatars).values(reserved_at=from_now(-MAKING_S)))
    await new_picture(database, account_id, "sess_2")


async def test_pictures_of_the_period_before_do_not_count(database: Database) -> None:
    """With a new period the allowance is whole again."""
    account_id = await database.account(avatar_allowance=1)
    await database.avatars.reserve("avat_1", account_id)
    await database.avatars.register(an_avatar("avat_1", account_id), "1" * 64)
    await database.run(update(made_avatars).values(reserved_at=from_now(-40 * 86_400)))
    await new_picture(database, account_id, "sess_1")


async def test_a_session_shows_the_avatar_that_its_picture_was_known_as(database: Database) -> None:
    """From then on that avatar is kept for it; a foreign or deleted one is refused, and so is an ended session."""
    account_id = await database.account()
    known, foreign = await database.avatar(account_id), await database.avatar(await database.account())
    await new_picture(database, account_id, "sess_1")
    await database.sessions.show("sess_1", known)
    session = await database.sessions.get("sess_1")
    assert session is not None
    assert session.avatar_id == known
    await database.avatars.mark_deleted(known, account_id)
    assert await database.avatars.doomed(known) == []
    assert (await refusal(database.sessions.show("sess_1", foreign))).code == FailureCode.AVATAR_ACCESS_DENIED
    assert (await refusal(database.sessions.show("sess_1", known))).code == FailureCode.AVATAR_NOT_FOUND
    assert (await refusal(database.sessions.show("sess_0", known))).code == FailureCode.SESSION_NOT_FOUND
    await database.sessions.end("sess_1", "NO_FACE")
    assert (await refusal(database.sessions.show("sess_1", foreign))).code == FailureCode.NO_FACE


async def test_minutes_of_admissions_at_once_are_held_once(database: Database) -> None:
    """Of twenty creates in two processes at one moment, to minutes for three, exactly three are admitted."""
    account_id, avatar_id = await database.account(included_minutes=25), await database.avatar()
    wanted = [(f"sess_{n}", account_id, avatar_id) for n in range(20)]
    outcomes = await race(database.url, admit, [wanted[:10], wanted[10:]])
    assert outcomes == {"admitted": 3, "INSUFFICIENT_MINUTES": 17}
    rows = await database.rows(select(sessions.c.reserved_minutes))
    assert sorted(row["reserved_minutes"] for row in rows) == [5, 10, 10]
    assert len(await database.rows(select(session_events))) == 3


async def test_pictures_of_admissions_at_once_are_counted_once(database: Database) -> None:
    """Of twenty creates with pictures in two processes at one moment, to an allowance of three, three are admitted."""
    account_id = await database.account(avatar_allowance=3)
    wanted = [(f"sess_{n}", account_id) for n in range(20)]
    outcomes = await race(database.url, admit_picture, [wanted[:10], wanted[10:]])
    assert outcomes == {"admitted": 3, "AVATAR_LIMIT_REACHED": 17}
    assert len(await database.rows(select(made_avatars))) == len(await database.rows(select(sessions))) == 3
