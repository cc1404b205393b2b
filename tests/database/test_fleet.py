"""The fleet's state in numbers, and what is counted beside the statements that change it; on both databases."""

import pytest

from database.fleet import Fleet
from domain.failures import Refused
from domain.fleet import FleetState
from support.counting import Counted
from support.databases import Database


async def test_fleet_is_what_the_rows_say(database: Database) -> None:
    """Free, held and away slots, servers by state, sessions by status, and who waits, at one moment."""
    before = await Fleet(database.engine).look()
    assert isinstance(before, FleetState)
    live = await database.server(slots=2)
    await database.silence(live, -60)
    silent, draining = await database.server(slots=3), await database.server(slots=4)
    started, created = await database.admitted(2)
    await database.leases.claim_in_turn(started)
    await database.sessions.start(started, 1, None, 3600)
    await database.silence(silent, 10)
    await database.silence(draining, -60)
    await database.servers.drain(draining)
    now = await Fleet(database.engine).look()
    gained = {name: getattr(now, name) - getattr(before, name) for name in FleetState.__dataclass_fields__}
    held = await database.leases.look(started, 1)
    where = {live: (1, 7), silent: (2, 6), draining: (2, 6)}[held.boot_id]
    assert gained == {
        "slots_free": where[0],
        "slots_held": 1,
        "slots_away": where[1],
        "servers_live": 1,
        "servers_draining": 1,
        "servers_silent": 1,
        "leases_held": 1,
        "sessions_created": 1,
        "sessions_started": 1,
        "waiting": 0,
        "webhooks_pending": 0,
    }
    await database.sessions.end(created, "CREATE_CANCELLED")


async def test_starts_ends_and_bills_are_counted_once(database: Database) -> None:
    """However often they are repeated: it is the statement that counts, and only where it changed something."""
    await database.server(slots=1)
    (session_id,) = await database.admitted()
    await database.leases.claim_in_turn(session_id)
    counted = Counted()
    for _ in range(2):
        await database.sessions.start(session_id, 1, None, 3600)
    for reason in ("expired", "ended_by_request"):
        await database.sessions.end(session_id, reason, attended=True)
    with pytest.raises(Refused):
        await database.sessions.start(session_id, 1, None, 3600)
    assert counted["sessions_started_total"] == counted["sessions_ended_total/expired"] == 1
    assert counted["sessions_ended_total/ended_by_request"] == 0
    assert counted["database_seconds_count/write/ok"] == 4
    assert counted["database_seconds_count/write/refused"] == 1
