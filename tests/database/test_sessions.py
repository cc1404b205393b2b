"""A session's admission, start and end, each with its audit row."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from database.tables import leases, session_events, sessions
from domain.avatars import AspectRatio
from domain.failures import FailureCode, Refused
from domain.plans import Concurrency
from domain.session import SessionStatus
from support.databases import Database


async def audit_of(database: Database, session_id: str) -> list[tuple[Any, ...]]:
    """Step, status, reason and generation of each audit row, oldest first."""
    columns = (session_events.c.step, session_events.c.status, session_events.c.reason, session_events.c.generation)
    query = select(*columns).where(session_events.c.session_id == session_id).order_by(session_events.c.id)
    return [tuple(row.values()) for row in await database.rows(query)]


async def code_of(refused: Any) -> FailureCode:
    """The code that an awaitable is refused with."""
    with pytest.raises(Refused) as refusal:
        await refused
    return refusal.value.code


ADMITTED = ("admit_session", "created", None, 0)
STARTED = ("record_started", "started", None, 1)


async def test_an_admitted_session_is_created_and_counted(database: Database) -> None:
    """The answer counts the new session; the row says what was asked for, and the trail begins."""
    account_id, avatar_id = await database.account(places=3), await database.avatar()
    session_id, answer = await database.admit(account_id, avatar_id)
    assert answer == Concurrency(current=1, max=3)
    session = await database.sessions.get(session_id)
    assert session is not None
    assert (session.status, session.metadata, session.account_id) == (
        SessionStatus.CREATED,
        {"who": "tester"},
        account_id,
    )
    assert abs(session.created_at - datetime.now(UTC)) < timedelta(seconds=2)
    assert (session.started_at, session.ended_at, session.expires_at, session.end_reason) == (None, None, None, None)
    assert await audit_of(database, session_id) == [ADMITTED]


async def test_the_deadline_is_the_databases_time_plus_what_remains(database: Database) -> None:
    """What is left of the create's time is added to the database's time at admission."""
    await database.admit(await database.account(), await database.avatar(), within=12.5)
    (row,) = await database.rows(select(sessions.c.created_at, sessions.c.deadline_at))
    assert abs(row["deadline_at"] - row["created_at"] - timedelta(seconds=12.5)) <= timedelta(milliseconds=5)


async def test_a_repeated_admission_takes_no_second_place(database: Database) -> None:
    """A repeat is answered although every place is taken, and writes nothing."""
    account_id, avatar_id = await database.account(places=1), await database.avatar()
    session_id, first = await database.admit(account_id, avatar_id)
    _, second = await database.admit(account_id, avatar_id, session_id=session_id)
    assert first == second == Concurrency(current=1, max=1)
    assert await audit_of(database, session_id) == [ADMITTED]


async def test_no_more_sessions_than_places(database: Database) -> None:
    """The session after the last place is refused with the numbers and leaves no row; an end makes room."""
    account_id, avatar_id = await database.account(places=1), await database.avatar()
    session_id, _ = await database.admit(account_id, avatar_id)
    with pytest.raises(Refused) as refusal:
        await database.admit(account_id, avatar_id, session_id="sess_2")
    assert refusal.value.code == FailureCode.CONCURRENCY_LIMIT_REACHED
    assert refusal.value.details == {"current": 1, "max": 1, "available": 0, "sessions": [session_id]}
    assert await database.sessions.get("sess_2") is None
    await database.sessions.end(session_id, "ended_by_request")
    assert (await database.admit(account_id, avatar_id, session_id="sess_2"))[1] == Concurrency(current=1, max=1)


async def test_admissions_that_are_refused_leave_no_row(database: Database) -> None:
    """Unknown and foreign avatars, an unknown account and a create without time left are refused by their codes."""
    account_id, avatar_id = await database.account(), await database.avatar()
    foreign = await database.avatar(await database.account())
    assert await code_of(database.admit(account_id, "avat_0")) == FailureCode.AVATAR_NOT_FOUND
    assert await code_of(database.admit(account_id, foreign)) == FailureCode.AVATAR_ACCESS_DENIED
    assert await code_of(database.admit("acct_0", avatar_id)) == FailureCode.NOT_FOUND
    assert await code_of(database.admit(account_id, avatar_id, within=0)) == FailureCode.CREATE_TIMED_OUT
    assert await database.rows(select(sessions)) == []
    assert await database.rows(select(session_events)) == []


async def test_an_own_avatar_can_be_shown(database: Database) -> None:
    """An account uses the avatars that it uploaded."""
    account_id = await database.account()
    _, answer = await database.admit(account_id, await database.avatar(account_id))
    assert answer.current == 1


async def test_admissions_at_once_never_exceed_the_places(database: Database) -> None:
    """Of twelve admissions at once to five places, five are admitted and seven are refused."""
    account_id, avatar_id = await database.account(places=5), await database.avatar()
    attempts = (database.admit(account_id, avatar_id) for _ in range(12))
    results = await asyncio.gather(*attempts, return_exceptions=True)
    refused = [result.code for result in results if isinstance(result, Refused)]
    assert refused == [FailureCode.CONCURRENCY_LIMIT_REACHED] * 7
    assert await database.accounts.concurrency(account_id) == Concurrency(current=5, max=5)


async def test_a_start_counts_the_limits_from_its_moment(database: Database) -> None:
    """Expiry and enforced end count from the committed start; the session and its trail say so."""
    await database.server()
    (session_id,) = await database.admitted()
    await database.leases.claim(session_id, 1)
    start = await database.sessions.start(session_id, 1, 600, 600)
    assert abs(start.started_at - datetime.now(UTC)) < timedelta(seconds=2)
    assert start.expires_at == start.enforced_end == start.started_at + timedelta(seconds=600)
    session = await database.sessions.get(session_id)
    assert session is not None
    assert (session.status, session.started_at, session.expires_at) == (
        SessionStatus.STARTED,
        start.started_at,
        start.expires_at,
    )
    assert await audit_of(database, session_id) == [ADMITTED, STARTED]


async def test_a_start_without_a_plans_limit_has_no_expiry(database: Database) -> None:
    """Without a plan's limit nothing is shown as expiry, yet the enforced end stands."""
    await database.server()
    (session_id,) = await database.admitted()
    await database.leases.claim(session_id, 1)
    start = await database.sessions.start(session_id, 1, None, 86_400)
    assert start.expires_at is None
    assert start.enforced_end == start.started_at + timedelta(days=1)


async def test_a_repeated_start_answers_the_first(database: Database) -> None:
    """A repeat answers what was committed, even after the deadline, and writes nothing."""
    await database.server()
    (session_id,) = await database.admitted()
    await database.leases.claim(session_id, 1)
    first = await database.sessions.start(session_id, 1, None, 60)
    await database.pass_deadline(session_id)
    assert await database.sessions.start(session_id, 1, 10, 10) == first
    assert await audit_of(database, session_id) == [ADMITTED, STARTED]


async def test_a_start_after_the_deadline_is_refused(database: Database) -> None:
    """Once the create's time is up, the statement that would start the session does nothing."""
    await database.server()
    (session_id,) = await database.admitted()
    await database.leases.claim(session_id, 1)
    await database.pass_deadline(session_id)
    assert await code_of(database.sessions.start(session_id, 1, None, 60)) == FailureCode.CREATE_TIMED_OUT
    session = await database.sessions.get(session_id)
    assert session is not None
    assert (session.status, session.started_at) == (SessionStatus.CREATED, None)
    assert await audit_of(database, session_id) == [ADMITTED]


async def test_a_start_needs_the_lease_of_its_generation(database: Database) -> None:
    """Without a lease, and with one that a newer generation has overtaken, a start is refused; the newer one starts."""
    await database.server(slots=2)
    (session_id,) = await database.admitted()
    assert await code_of(database.sessions.start(session_id, 1, None, 60)) == FailureCode.LEASE_REVOKED
    await database.leases.claim(session_id, 1)
    await database.leases.claim(session_id, 2)
    assert await code_of(database.sessions.start(session_id, 1, None, 60)) == FailureCode.LEASE_REVOKED
    await database.sessions.start(session_id, 2, None, 60)
    assert await audit_of(database, session_id) == [ADMITTED, ("record_started", "started", None, 2)]


async def test_a_session_that_was_never_admitted_can_neither_start_nor_end(database: Database) -> None:
    """Nothing starts and nothing ends without a row."""
    assert await code_of(database.sessions.start("sess_0", 1, None, 60)) == FailureCode.SESSION_NOT_FOUND
    assert await database.sessions.end("sess_0", "ended_by_request") is None
    assert await database.sessions.get("sess_0") is None


async def test_the_first_reason_of_an_end_stands(database: Database) -> None:
    """A later end answers the first reason and time, and the trail has one end."""
    session_id = await database.started()
    first = await database.sessions.end(session_id, "expired")
    assert first is not None
    assert first.reason == "expired"
    assert await database.sessions.end(session_id, "ended_by_request") == first
    session = await database.sessions.get(session_id)
    assert session is not None
    assert (session.status, session.end_reason, session.ended_at) == (SessionStatus.ENDED, "expired", first.ended_at)
    assert await audit_of(database, session_id) == [ADMITTED, STARTED, ("record_ended", "ended", "expired", 0)]


async def test_an_end_gives_back_place_and_lease_at_once(database: Database) -> None:
    """With the end the account's place is free and the lease is revoked; its slot waits for the server."""
    session_id = await database.started()
    session = await database.sessions.get(session_id)
    assert session is not None
    await database.sessions.end(session_id, "ended_by_request")
    assert (await database.accounts.concurrency(session.account_id)).current == 0
    assert not (await database.leases.look(session_id, 1)).held
    assert await database.servers.capacity() == (0, 1)


async def test_a_step_after_the_end_repeats_the_failure(database: Database) -> None:
    """After a create that failed, admission, claim and start answer that failure again, as a repeated task needs it."""
    account_id, avatar_id = await database.account(), await database.avatar()
    await database.server()
    session_id, _ = await database.admit(account_id, avatar_id)
    await database.sessions.end(session_id, "AT_CAPACITY")
    for step in (
        database.admit(account_id, avatar_id, session_id=session_id),
        database.leases.claim(session_id, 1),
        database.sessions.start(session_id, 1, None, 60),
    ):
        assert await code_of(step) == FailureCode.AT_CAPACITY
    assert await database.servers.capacity() == (2, 2)


async def test_a_session_that_was_ended_never_starts(database: Database) -> None:
    """An end during the create wins: start and repeated admission are refused as cancelled."""
    account_id, avatar_id = await database.account(), await database.avatar()
    await database.server()
    session_id, _ = await database.admit(account_id, avatar_id)
    await database.leases.claim(session_id, 1)
    await database.sessions.end(session_id, "ended_by_request")
    assert await code_of(database.sessions.start(session_id, 1, None, 60)) == FailureCode.CREATE_CANCELLED
    repeat = database.admit(account_id, avatar_id, session_id=session_id)
    assert await code_of(repeat) == FailureCode.CREATE_CANCELLED


async def test_ends_and_starts_at_once_leave_one_story(database: Database) -> None:
    """However two ends and a start fall, there is one end, at most one start before it, and no lease is left."""
    await database.server(slots=20)
    for session_id in await database.admitted(10):
        await database.leases.claim(session_id, 1)
        outcomes = await asyncio.gather(
            database.sessions.end(session_id, "ended_by_request"),
            database.sessions.start(session_id, 1, None, 60),
            database.sessions.end(session_id, "expired"),
            return_exceptions=True,
        )
        assert outcomes[0] == outcomes[2]
        steps = [step for step, *_ in await audit_of(database, session_id)]
        started = [] if isinstance(outcomes[1], Refused) else ["record_started"]
        assert steps == ["admit_session", *started, "record_ended"]
    assert await database.rows(select(leases).where(leases.c.revoked_at.is_(None))) == []


async def test_metadata_of_any_text_comes_back(database: Database) -> None:
    """NUL, half a surrogate pair, every script, numbers beyond 64 bits and a quarter of a megabyte are kept as sent."""
    metadata = {"a\0b": "\0", "half": "\ud800", "ключ": "🎭", "big": 2**70, "long": "x" * 2**18, "": [None, 0.1]}
    account_id, avatar_id = await database.account(), await database.avatar()
    wanted: dict[str, Any] = {"session_id": "sess_1", "account_id": account_id, "avatar_id": avatar_id}
    wanted |= {"aspect_ratio": AspectRatio.SQUARE, "metadata": metadata, "remaining_seconds": 30}
    await database.sessions.admit(**wanted)
    session = await database.sessions.get("sess_1")
    assert session is not None
    assert session.metadata == metadata


async def test_the_database_itself_refuses_half_an_end(database: Database) -> None:
    """A status without its time and reason cannot be written, whoever writes it."""
    (session_id,) = await database.admitted()
    for status in ("ended", "started"):
        statement = update(sessions).where(sessions.c.session_id == session_id).values(status=status)
        with pytest.raises(Exception, match=f"{status}_has_a_time"):
            await database.run(statement)


async def test_a_move_to_another_server_is_written_once(database: Database) -> None:
    """By the generation that holds the lease, with its cause; a generation that was overtaken writes nothing."""
    account_id = await database.account()
    session_id, _ = await database.admit(account_id, await database.avatar())
    await database.server()
    await database.leases.claim(session_id, 1)
    await database.sessions.start(session_id, 1, None, 60)
    await database.leases.claim(session_id, 2)
    for _ in range(2):
        await database.sessions.move(session_id, 2, "server_lost")
    with pytest.raises(Refused) as caught:
        await database.sessions.move(session_id, 1, "server_lost")
    assert caught.value.code == FailureCode.LEASE_REVOKED
    assert (await audit_of(database, session_id))[-1] == ("record_moved", "started", "server_lost", 2)
    assert len(await audit_of(database, session_id)) == 3
    await database.sessions.end(session_id, "ended_by_request")
    with pytest.raises(Refused):
        await database.sessions.move(session_id, 2, "server_lost")
