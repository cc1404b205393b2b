"""Invariants can be broken: nothing is found in a whole system, and each breach that is planted in a copy of one."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from string import Template
from typing import Any

import pytest

from database.migrations import migrate
from support.auditor import CREATED_FOR_MS, LIVE_MS, Facts, breaches, read_tables, staged_owners

NOW = 2_000_000_000_000
MOMENTS = {
    "now": NOW,
    "long_ago": NOW - 60_000,
    "too_long_ago": NOW - CREATED_FOR_MS - 1,
    "silent": NOW - LIVE_MS - 1,
}

WHOLE = """
INSERT INTO plans (key, name, max_concurrent_sessions) VALUES ('p', 'p', 9);
INSERT INTO accounts (account_id, name, plan_key, created_at) VALUES ('a', 'a', 'p', $long_ago);
INSERT INTO sessions (session_id, account_id, avatar_id, status, aspect_ratio, metadata, created_at, deadline_at,
  started_at, ended_at, end_reason) VALUES
  ('live', 'a', 'v', 'started', '4:3', '{}', $long_ago, $now, $long_ago, NULL, NULL),
  ('over', 'a', 'v', 'ended', '4:3', '{}', $long_ago, $now, $long_ago, $long_ago, 'expired');
INSERT INTO session_events (session_id, step, generation, at, status, reason) VALUES
  ('live', 'record_started', 1, $long_ago, 'started', NULL),
  ('over', 'record_ended', 0, $long_ago, 'ended', 'expired');
INSERT INTO avatar_servers (boot_id, name, queue, slots, registered_at, renewed_at, renewals, draining)
  VALUES ('b', 'b', 'q', 2, $long_ago, $now, 9, 0);
INSERT INTO slots VALUES ('b', 1, 'live', 1), ('b', 2, NULL, NULL);
INSERT INTO leases (session_id, generation, boot_id, server, queue, claimed_at, renewed_at, renewals, served_ms,
  revoked_at) VALUES
  ('live', 1, 'b', 'b', 'q', $long_ago, $now, 9, 9, NULL),
  ('over', 1, 'b', 'b', 'q', $long_ago, $long_ago, 9, 9, $long_ago);
"""
"""A session that runs and one that has ended, on a server of two slots."""

IN_ROWS = {
    "two slots": ("UPDATE slots SET session_id='live', generation=2 WHERE number=2", "live has 2 slots"),
    "a slot after the end": (
        "UPDATE slots SET session_id='over', generation=1 WHERE number=2", "over has ended and keeps a slot",
    ),
    "a lease after the end": ("UPDATE leases SET revoked_at=NULL WHERE session_id='over'", "over has ended and holds"),
    "more leases than slots": ("DELETE FROM slots", "server b has 1 leases and 0 slots"),
    "a lease without a slot": (
        "UPDATE slots SET session_id=NULL, generation=NULL", "live holds a lease without a slot",
    ),
    "two leases": (
        ("INSERT INTO leases (session_id, generation, boot_id, server, queue, claimed_at, renewed_at, renewals,"
        " served_ms) VALUES ('live', 2, 'b', 'b', 'q', $now, $now, 0, 0)"),
        "live holds 2 leases",
    ),
    "a start twice": (
        ("INSERT INTO session_events (session_id, step, generation, at, status, reason)"
        " VALUES ('live', 'record_started', 2, $now, 'started', NULL)"),
        "live has 2 rows of record_started",
    ),
    "two reasons": (
        "UPDATE sessions SET end_reason='removed' WHERE session_id='over'", "over ended as removed, its audit row says",
    ),
    "an end without a row": ("DELETE FROM session_events WHERE session_id='over'", "its audit row says None"),
    "a row without an end": (
        ("INSERT INTO session_events (session_id, step, generation, at, status, reason)"
        " VALUES ('live', 'record_ended', 0, $now, 'ended', 'expired')"),
        "live has an end in the audit",
    ),
    "a session beyond its limit": (
        "UPDATE sessions SET enforced_seconds=30 WHERE session_id='live'", "live should have ended 30 s ago",
    ),
    "a create without an end": (
        "UPDATE sessions SET status='created', created_at=$too_long_ago WHERE session_id='live'",
        "live has been starting for too long",
    ),
}  # fmt: skip
ELSEWHERE: Mapping[str, tuple[dict[str, Any], str]] = {
    "no workflow": ({"running": frozenset()}, "live is started and no workflow runs"),
    "a workflow after the end": (
        {"running": frozenset({"live", "over"})},
        "over has ended and its workflow still runs",
    ),
    "a workflow of nobody": ({"running": frozenset({"live", "lost"})}, "workflow lost runs for no session"),
    "two avatars in a room": ({"avatars": {"room": 2}}, "room room has 2 avatars"),
    "an avatar too many": ({"avatars": {"room": 1, "other": 1}}, "2 avatars are in rooms"),
    "a process without a lease": ({"media": (1, 2)}, "2 media processes are in rooms"),
    "a staged object": ({"staged": ("over",)}, "staged by over"),
    "pictures of nobody": ({"pictured": ("v", "w"), "known_avatars": frozenset({"v"})}, "pictures of w"),
    "a wrong bill": ({"bills": ("over was billed twice",)}, "over was billed twice"),
}


@pytest.fixture
async def database(tmp_path: Path) -> Path:
    """A whole system's database, made by the migrations."""
    file = tmp_path / "greenroom.db"
    await migrate(f"sqlite+aiosqlite:///{file}")
    change(file, WHOLE)
    return file


def change(file: Path, script: str) -> None:
    """Change rows behind everybody's back; the tables' own rules about references do not hold here."""
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(Template(script).substitute(MOMENTS))


def found(file: Path, **elsewhere: Any) -> list[str]:
    """What the auditor says of a database, and of what is said to be elsewhere."""
    rest: dict[str, Any] = {"running": frozenset({"live"}), "avatars": {"room": 1}, "media": (1,), "staged": ("live",)}
    return breaches(Facts(now_ms=NOW, **{**read_tables(file), **rest, **elsewhere}))


async def test_a_whole_system_is_whole(database: Path) -> None:
    """Nothing is found where nothing is wrong."""
    assert found(database) == []


@pytest.mark.parametrize("breach", IN_ROWS)
async def test_a_breach_in_the_rows_is_found(database: Path, breach: str) -> None:
    """Each rule about rows can fail, and says what it found."""
    script, sentence = IN_ROWS[breach]
    change(database, script)
    assert sentence in "\n".join(found(database))


@pytest.mark.parametrize("breach", ELSEWHERE)
async def test_a_breach_elsewhere_is_found(database: Path, breach: str) -> None:
    """Each rule about workflows, rooms, processes and objects can fail."""
    elsewhere, sentence = ELSEWHERE[breach]
    assert sentence in "\n".join(found(database, **elsewhere))


async def test_the_slots_of_a_dead_server_are_not_counted(database: Path) -> None:
    """They are freed when it is forgotten; nobody is given one before."""
    change(database, IN_ROWS["a slot after the end"][0])
    change(database, "UPDATE avatar_servers SET renewed_at=$silent")
    assert found(database) == []


def test_staged_and_half_written_objects_are_found(tmp_path: Path) -> None:
    """By their owner, and by the scratch file's name; other objects are nobody's business."""
    for name in ("staging/one/source", "staging/one/decoded.jpg", ".new/abc", "avatars/two/4x3.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert staged_owners(tmp_path) == ("one", "a half-written object, abc")
