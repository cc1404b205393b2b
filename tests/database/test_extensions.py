"""Extensions: a later end within the plan, once each; and the moment that an avatar server is told."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from database.engine import writing
from database.extensions import Extensions
from database.stops import set_stop
from database.tables import session_events
from domain.failures import FailureCode, Refused
from domain.leases import Serving, Stop
from domain.plans import HARD_CAP
from support.databases import Database


async def running(database: Database, *, plan: int | None, limit: float | None) -> tuple[str, str]:
    """A session of an account with a plan, started with a limit; its id and its server's boot."""
    boot = await database.server()
    session_id, _ = await database.admit(await database.account(seconds=plan), await database.avatar())
    await database.leases.claim(session_id, 1)
    await database.sessions.start(session_id, 1, limit, limit or HARD_CAP.total_seconds())
    return session_id, boot


async def stop_told(database: Database, boot: str, session_id: str, generation: int = 1) -> Stop | None:
    """What a renewal says of the session's end."""
    told = Serving(session_id=session_id, generation=generation, served_ms=0)
    return (await database.servers.renew(boot, [told])).stops.get((session_id, generation))


async def test_an_extension_moves_both_limits_once(database: Database) -> None:
    """The session, its audit trail and the server's next renewal show it; a repeat of the step changes nothing."""
    session_id, boot = await running(database, plan=3600, limit=600)
    before = await database.sessions.get(session_id)
    for _ in range(2):
        extended = await Extensions(database.engine).extend(session_id, 1, 300)
    assert before is not None
    assert before.expires_at is not None
    assert extended.expires_at == extended.enforced_end == before.expires_at + timedelta(seconds=300)
    after = await database.sessions.get(session_id)
    assert after is not None
    assert after.expires_at == extended.expires_at
    stop = await stop_told(database, boot, session_id)
    assert stop is not None
    assert 880 < stop.in_s <= 900
    events = session_events.c
    rows = await database.rows(select(events.generation, events.details).where(events.step == "record_extended"))
    assert [tuple(row.values()) for row in rows] == [(1, {"seconds": 300})]


async def test_the_plan_as_it_is_now_is_the_limit(database: Database) -> None:
    """Beyond it nothing changes, and the refusal says how much is left."""
    session_id, _ = await running(database, plan=900, limit=600)
    with pytest.raises(Refused) as refused:
        await Extensions(database.engine).extend(session_id, 1, 301)
    assert refused.value.code == FailureCode.EXTENSION_LIMIT_REACHED
    assert refused.value.details is not None
    assert (refused.value.details["max_seconds"], refused.value.details["available_seconds"]) == (900, 300)
    extended = await Extensions(database.engine).extend(session_id, 1, 300)
    assert extended.expires_at == extended.started_at + timedelta(seconds=900)


async def test_no_plan_goes_beyond_a_day(database: Database) -> None:
    """A session that asked to be shorter than its unlimited plan may grow up to the hard cap."""
    session_id, _ = await running(database, plan=None, limit=600)
    with pytest.raises(Refused):
        await Extensions(database.engine).extend(session_id, 1, HARD_CAP.total_seconds())
    await Extensions(database.engine).extend(session_id, 1, HARD_CAP.total_seconds() - 600)


async def test_what_has_no_limit_or_does_not_run_is_not_extended(database: Database) -> None:
    """The first answers as it is; the second is refused."""
    unlimited, _ = await running(database, plan=None, limit=None)
    assert (await Extensions(database.engine).extend(unlimited, 1, 60)).expires_at is None
    await database.sessions.end(unlimited, "ended_by_request")
    (created,) = await database.admitted()
    for session_id, code in (
        (unlimited, FailureCode.SESSION_ENDED),
        (created, FailureCode.SESSION_ENDED),
        ("sess_nobody", FailureCode.SESSION_NOT_FOUND),
    ):
        with pytest.raises(Refused) as refused:
            await Extensions(database.engine).extend(session_id, 1, 60)
        assert refused.value.code == code


async def test_the_next_generation_inherits_the_stop(database: Database) -> None:
    """A session that changes its server still ends in time; before its start there is nothing to tell."""
    boot = await database.server()
    (session_id,) = await database.admitted()
    await database.leases.claim(session_id, 1)
    assert await stop_told(database, boot, session_id) is None
    await database.sessions.start(session_id, 1, 60, 60)
    await database.leases.claim(session_id, 2)
    stop = await stop_told(database, boot, session_id, 2)
    assert stop is not None
    assert stop.reason == "expired"
    assert 50 < stop.in_s <= 60


async def test_an_extension_brings_no_minutes(database: Database) -> None:
    """Where the minutes end before, that stays the moment that the server is told."""
    session_id, boot = await running(database, plan=3600, limit=600)
    session = await database.sessions.get(session_id)
    assert session is not None
    assert session.started_at is not None
    async with writing(database.engine) as connection:
        await set_stop(connection, session_id, session.started_at + timedelta(seconds=300), "minutes_exhausted")
    await Extensions(database.engine).extend(session_id, 1, 300)
    stop = await stop_told(database, boot, session_id)
    assert stop is not None
    assert (stop.reason, stop.in_s <= 300) == ("minutes_exhausted", True)
