"""`greenroom audit` on the real system: whole while it works, and a breach that was planted is found and named."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from click.testing import CliRunner
from sqlalchemy import update

from cli.auditing import audited, show
from cli.main import main
from database.engine import writing
from database.tables import sessions
from runtime.system.remembered import remembered_environ
from support.real_system import RealSystem


async def look(system: RealSystem) -> tuple[bool, list[str]]:
    """Is it whole, and what was found?"""
    audit = await audited(remembered_environ(system.folder, {}), days=7)
    show(audit)
    assert audit.looked["sessions"] > 0
    return audit.whole, [f"{breach.invariant} {breach.sentence}" for breach in audit.breaches]


@asynccontextmanager
async def planted(system: RealSystem, session_id: str, **wrong: Any) -> AsyncIterator[None]:
    """A row that somebody has changed behind everybody's back, until the end."""
    one = update(sessions).where(sessions.c.session_id == session_id)
    async with writing(system.engine) as connection:
        await connection.execute(one.values(**wrong))
    try:
        yield
    finally:
        async with writing(system.engine) as connection:
            await connection.execute(one.values(end_reason="ended_by_request"))


async def test_a_working_system_is_whole(real_system: RealSystem, astronaut: str) -> None:
    """With a session in the room, and after it; a reason that was changed afterwards is a breach of I7."""
    async with real_system.live(astronaut) as live:
        assert await look(real_system) == (True, [])
    assert await look(real_system) == (True, [])
    async with planted(real_system, live.session_id, end_reason="expired"):
        whole, found = await look(real_system)
        said = f"I7 {live.session_id} ended as expired, its audit row says ended_by_request"
        assert (whole, found) == (False, [said])
    assert await look(real_system) == (True, [])


def test_what_cannot_be_looked_at_is_said() -> None:
    """Without a system there is one sentence, and exit code 2."""
    environ = {"GREENROOM_DATABASE_URL": "sqlite:////nowhere/greenroom.db"}
    result = CliRunner().invoke(main, ["audit", "--json", "--data-dir", "/nowhere"], env=environ)
    assert result.exit_code == 2
    assert "database" in result.output
    with_help = CliRunner().invoke(main, ["audit", "--help"])
    assert "I1" not in with_help.output
    assert "exit code is 0" in " ".join(with_help.output.split())
    assert not result.stdout or not json.loads(result.stdout)
