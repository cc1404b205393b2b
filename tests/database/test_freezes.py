"""Freezes of admissions: nobody new, for all or for one account, and never a create that slips through."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from database.engine import writing
from database.freezes import EVERYBODY, Freezes
from database.standing import standing_of
from database.tables import sessions
from domain.failures import FailureCode, Refused
from support.database_racers import admit_or_freeze, race
from support.databases import Database


async def refused_admission(database: Database, account_id: str) -> Refused:
    """The refusal of a new session."""
    with pytest.raises(Refused) as refusal:
        await database.admit(account_id, await database.avatar())
    return refusal.value


async def test_a_freeze_refuses_new_sessions_and_touches_no_others(database: Database) -> None:
    """The refusal has the operator's words; a session from before is repeated, started and ended as ever."""
    account_id, avatar_id = await database.account(), await database.avatar()
    session_id, _ = await database.admit(account_id, avatar_id)
    freezes = Freezes(database.engine)
    stands = await freezes.freeze(EVERYBODY, "we move")
    assert (stands.scope, stands.reason, stands.until) == ("", "we move", None)
    refusal = await refused_admission(database, account_id)
    assert refusal.code == FailureCode.ADMISSIONS_FROZEN
    assert "we move" in refusal.message
    assert refusal.details == {"retry_after_seconds": 60, "until": None}
    assert await database.rows(select(func.count().label("n")).select_from(sessions)) == [{"n": 1}]
    assert await database.admit(account_id, avatar_id, session_id=session_id)
    await database.server()
    await database.leases.claim(session_id, 1)
    await database.sessions.start(session_id, 1, None, 3600)
    assert await database.sessions.end(session_id, "ended_by_request")
    assert await freezes.thaw(EVERYBODY)
    assert not await freezes.thaw(EVERYBODY)
    await database.admit(account_id, avatar_id)


async def test_one_account_is_frozen_alone(database: Database) -> None:
    """Others are admitted; a freeze of everybody is thawed by itself, and leaves the account's."""
    mine, other = await database.account(), await database.account()
    freezes = Freezes(database.engine)
    await freezes.freeze(mine, "unpaid")
    await database.admit(other, await database.avatar())
    assert (await refused_admission(database, mine)).code == FailureCode.ADMISSIONS_FROZEN
    await freezes.freeze(EVERYBODY, "", seconds=30)
    assert [one.scope for one in await freezes.listed()] == ["", mine]
    assert (await refused_admission(database, mine)).message.endswith("unpaid")
    assert (await refused_admission(database, other)).code == FailureCode.ADMISSIONS_FROZEN
    await freezes.thaw(EVERYBODY)
    await database.admit(other, await database.avatar())


async def test_a_freeze_thaws_by_itself(database: Database) -> None:
    """Retry-After is what is left of it; once its moment has passed it counts no more, and is swept by the next."""
    account_id = await database.account()
    freezes = Freezes(database.engine)
    await freezes.freeze(EVERYBODY, "", seconds=90)
    refusal = await refused_admission(database, account_id)
    assert refusal.details is not None
    assert 85 <= int(str(refusal.details["retry_after_seconds"])) <= 90
    await freezes.freeze(EVERYBODY, "again", until=datetime.now(UTC) - timedelta(seconds=1))
    assert await freezes.listed() == []
    await database.admit(account_id, await database.avatar())


async def test_a_freeze_waits_for_admissions_under_way(database: Database) -> None:
    """It returns only when whoever was being admitted has been: afterwards nobody's row appears."""
    account_id = await database.account()
    async with writing(database.engine) as connection:
        await standing_of(connection, account_id, lock=True, admits=True)
        freezing = asyncio.create_task(Freezes(database.engine).freeze(EVERYBODY, ""))
        await asyncio.sleep(0.2)
        assert not freezing.done()
    await freezing
    assert (await refused_admission(database, account_id)).code == FailureCode.ADMISSIONS_FROZEN


async def test_no_create_of_another_process_slips_through_a_freeze(database: Database) -> None:
    """Of fifty admissions beside a freeze none is committed after it: the rows that it counted are all there are."""
    account_id, avatar_id = await database.account(), await database.avatar()
    wanted = [(f"sess_{number}", account_id, avatar_id) for number in range(50)]
    shares = [wanted[:25], [*wanted[25:40], ("freeze", account_id, avatar_id), *wanted[40:]]]
    outcomes = await race(database.url, admit_or_freeze, shares)
    counted = next(outcome for outcome in outcomes if outcome.startswith("frozen at"))
    del outcomes[counted]
    assert set(outcomes) <= {"admitted", "ADMISSIONS_FROZEN"}
    assert outcomes.total() == 50
    assert counted == f"frozen at {outcomes['admitted']}"
