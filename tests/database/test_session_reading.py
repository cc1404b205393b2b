"""The list of an account's sessions, and the timeline of one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text, update

from database.audit import StepRun, performing
from database.engine import reading
from database.session_reading import LEASED, Listed, SessionReading
from database.tables import sessions
from domain.paging import Position
from support.databases import Database

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def reader(database: Database) -> SessionReading:
    """What is tested here."""
    return SessionReading(database.engine)


async def started(database: Database, account_id: str, *, minute: int, session_id: str | None = None) -> str:
    """A session of the account that started so many minutes after the first."""
    avatar_id = await database.avatar()
    await database.server(slots=1)
    session_id, _ = await database.admit(account_id, avatar_id, session_id=session_id)
    await database.leases.claim(session_id, 1)
    await database.sessions.start(session_id, 1, 3600, 3600)
    at = BEGAN + timedelta(minutes=minute)
    await database.run(update(sessions).where(sessions.c.session_id == session_id).values(started_at=at))
    return session_id


async def all_pages(reader: SessionReading, account_id: str, limit: int) -> list[list[str]]:
    """The ids of each page, to the last."""
    pages, after = [], None
    while True:
        page = await reader.page(account_id, Listed.ALL, limit, after)
        pages.append([session.session_id for session in page.sessions])
        if page.next is None:
            return pages
        after = page.next


async def test_the_list_has_what_started(database: Database, reader: SessionReading) -> None:
    """Newest start first; a create that failed, one that is under way, and other accounts' sessions are not there."""
    account_id = await database.account()
    older, newer, newest = [await started(database, account_id, minute=minute) for minute in (1, 2, 3)]
    await started(database, await database.account(), minute=4)
    failed, _ = await database.admit(account_id, await database.avatar())
    await database.sessions.end(failed, "AT_CAPACITY")
    await database.admit(account_id, await database.avatar())
    await database.sessions.end(newer, "expired")
    found = {
        listed: [session.session_id for session in (await reader.page(account_id, listed, 10)).sessions]
        for listed in Listed
    }
    assert found == {Listed.ALL: [newest, newer, older], Listed.STARTED: [newest, older], Listed.ENDED: [newer]}


async def test_pages_follow_one_another(database: Database, reader: SessionReading) -> None:
    """Each session once, also where several started in the same millisecond; a full last page has no next."""
    account_id = await database.account()
    ids = [await started(database, account_id, minute=m, session_id=f"sess_{n}") for n, m in enumerate((0, 1, 1, 1, 2))]
    expected = sorted(ids, reverse=True)
    for limit in (1, 2, 3, 5, 100):
        pages = await all_pages(reader, account_id, limit)
        assert [session_id for page in pages for session_id in page] == expected
        assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
        assert pages[-1]
    assert await all_pages(reader, await database.account(), 2) == [[]]


async def test_what_starts_meanwhile_disturbs_no_page(database: Database, reader: SessionReading) -> None:
    """The next page goes on where the one before ended, also when sessions started or ended in between."""
    account_id = await database.account()
    ids = [await started(database, account_id, minute=minute) for minute in range(4)]
    first = await reader.page(account_id, Listed.ALL, 2)
    await started(database, account_id, minute=9)
    await database.sessions.end(ids[3], "expired")
    second = await reader.page(account_id, Listed.ALL, 2, first.next)
    assert [session.session_id for session in second.sessions] == [ids[1], ids[0]]
    assert second.next is None


async def test_the_list_uses_its_index(database: Database) -> None:
    """It does not read every session of the account, or of all accounts, to show the newest."""
    query = (
        "SELECT * FROM sessions WHERE account_id = 'a' AND started_at IS NOT NULL"
        " ORDER BY started_at DESC, session_id DESC LIMIT 10"
    )
    sqlite = database.engine.dialect.name == "sqlite"
    async with reading(database.engine) as connection:
        if not sqlite:
            await connection.execute(text("SET enable_seqscan = off"))  # an empty table is read whole otherwise
            await connection.execute(text("SET enable_sort = off"))
        plan = (await connection.execute(text(f"EXPLAIN {'QUERY PLAN' if sqlite else ''} {query}"))).all()
        if not sqlite:
            await connection.execute(text("RESET ALL"))
    told = " ".join(str(tuple(row)) for row in plan)
    assert "ix_sessions_started" in told
    assert "TEMP B-TREE" not in told
    assert "Sort" not in told


async def test_the_timeline_is_every_change(database: Database, reader: SessionReading) -> None:
    """Status changes and leases in their order, each with its cause, its server and the run that asked for it."""
    asked_at = datetime.now(UTC) - timedelta(milliseconds=250)
    token = performing.set(StepRun(workflow_id="workflow-1", run_id="run-1", asked_at=asked_at))
    session_id = await database.started()
    await database.server(slots=1)
    await database.leases.claim(session_id, 2)
    await database.sessions.move(session_id, 2, "server_lost")
    performing.reset(token)
    await database.sessions.end(session_id, "expired")
    entries = await reader.timeline(session_id)
    assert [(e.step, e.status, e.generation, e.cause) for e in entries] == [
        ("admit_session", "created", 0, None),
        (LEASED, "created", 1, None),
        ("record_started", "started", 1, None),
        (LEASED, "started", 2, None),
        ("record_moved", "started", 2, "server_lost"),
        ("record_ended", "ended", 0, "expired"),
    ]
    steps = [entry for entry in entries if entry.step != LEASED]
    assert {(e.workflow_id, e.run_id) for e in steps[:-1]} == {("workflow-1", "run-1")}
    assert all((e.took_ms or 0) >= 250 for e in steps[:-1])
    assert (steps[-1].workflow_id, steps[-1].run_id, steps[-1].took_ms) == (None, None, None)
    first, second = [entry.server for entry in entries if entry.step == LEASED]
    assert first != second
    assert [entry.server for entry in steps] == [None, first, second, None]
    assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)


async def test_a_session_that_never_was_has_no_timeline(database: Database, reader: SessionReading) -> None:
    """Nothing, rather than an error: whose it is is asked before."""
    assert await reader.timeline("sess_nobody") == []


async def test_a_position_that_nobody_holds_is_a_position(database: Database, reader: SessionReading) -> None:
    """A page may begin after a session of another account, or one that never was."""
    account_id = await database.account()
    session_id = await started(database, account_id, minute=1)
    pages: list[Any] = []
    for minute in (0, 2):
        after = Position(at=BEGAN + timedelta(minutes=minute), entry_id="sess_other")
        pages.append([s.session_id for s in (await reader.page(account_id, Listed.ALL, 5, after)).sessions])
    assert pages == [[], [session_id]]
