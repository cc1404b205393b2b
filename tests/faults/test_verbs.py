"""An operator's verb whose worker is killed in the middle of it."""

import asyncio
from pathlib import Path

from sqlalchemy import func, select
from temporalio.client import Client

from cli.operators.following import Order, begun, followed
from contracts.operations import EndSessions
from database.tables import session_events, sessions
from domain.selections import Selection
from support.api_system import settings_in
from support.databases import Database
from support.sessions_process import sessions_worker, without_reconciler
from workflows.end_sessions import EndSessionsWorkflow

NUMBER = 200


async def test_ends_go_on_after_kill_9(database: Database, temporal_versioned: Client, tmp_path: Path) -> None:
    """Killed with some of the sessions ended; another worker ends the rest, each once."""
    account_id, avatar_id = await database.account(), await database.avatar()
    for _ in range(NUMBER):
        await database.admit(account_id, avatar_id, within=600)
    command = EndSessions(selection=Selection(account_id=account_id))
    settings = settings_in(tmp_path, database_url=database.url)
    async with sessions_worker(settings, temporal_versioned) as worker:
        await without_reconciler(temporal_versioned)
        name = await begun(temporal_versioned, Order(run=EndSessionsWorkflow.run, command=command))
        async with asyncio.timeout(60):
            while await ended(database) < 20:  # noqa: ASYNC110 - the database tells nobody
                await asyncio.sleep(0.02)
        worker.kill()
        await worker.wait()
        assert await ended(database) < NUMBER
    async with sessions_worker(settings, temporal_versioned), asyncio.timeout(120):
        outcome = await followed(temporal_versioned, name, lambda _: None)
    assert (outcome.progress.done, outcome.progress.left) == (NUMBER, 0)
    assert await ended(database) == NUMBER
    rows = await database.rows(select(session_events.c.reason).where(session_events.c.step == "record_ended"))
    assert [row["reason"] for row in rows] == ["ended_by_operator"] * NUMBER


async def ended(database: Database) -> int:
    """How many have ended."""
    query = select(func.count().label("n")).select_from(sessions).where(sessions.c.ended_at.is_not(None))
    return int((await database.rows(query))[0]["n"])
