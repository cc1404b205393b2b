"""Looks whether a system is whole: reads its parts by other ways than the product does, and never changes any."""

import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from livekit import api
from temporalio.client import Client

from support.fault_processes import in_a_room

Rows = list[dict[str, Any]]

LIVE_MS = 3_000
"""A server that has not renewed for so long is dead or stopped; its slots are freed when it is forgotten."""
CLOSED_WITHIN_MS = 15_000
"""How long after its end a session's workflow may still run."""
SLOT_FREE_WITHIN_MS = 10_000
CREATED_FOR_MS = 90_000
"""Longer than any create may take."""
ONCE = ("admit_session", "record_started", "record_ended")
"""Steps of which each session has one row at most: nothing fails over yet."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What was found at one moment."""

    now_ms: int
    """Epoch milliseconds."""
    sessions: Rows
    events: Rows
    servers: Rows
    slots: Rows
    leases: Rows
    running: frozenset[str]
    """Ids of the session workflows that run."""
    avatars: Mapping[str, int] = field(default_factory=dict)
    """Avatars that LiveKit sees, by room."""
    media: tuple[int, ...] = ()
    """Media processes that are connected to LiveKit."""
    staged: tuple[str, ...] = ()
    """Owners of what lies in the staging folder, and half-written objects."""


def breaches(facts: Facts) -> list[str]:
    """One sentence for each rule that does not hold; none if the system is whole."""
    rules = (_slots, _leases, _ends, _workflows, _avatars, _staged)
    return [sentence for rule in rules for sentence in rule(facts)]


def _pair(row: Mapping[str, Any]) -> tuple[str, int]:
    return row["session_id"], row["generation"]


def _ended(facts: Facts) -> dict[str, Any]:
    return {row["session_id"]: row for row in facts.sessions if row["ended_at"] is not None}


def _slots(facts: Facts) -> Iterator[str]:
    """I1: what a slot serves holds its lease, and nobody has two slots; an ended session gives its slot back."""
    live = {row["boot_id"] for row in facts.servers if facts.now_ms - row["renewed_at"] <= LIVE_MS}
    taken = [row for row in facts.slots if row["session_id"] is not None and row["boot_id"] in live]
    for session_id, number in Counter(row["session_id"] for row in taken).items():
        if number > 1:
            yield f"{session_id} has {number} slots"
    places = Counter(row["boot_id"] for row in facts.slots)
    for boot_id, number in Counter(row["boot_id"] for row in facts.leases if row["revoked_at"] is None).items():
        if boot_id in live and number > places[boot_id]:
            yield f"server {boot_id} has {number} leases and {places[boot_id]} slots"
    ended = _ended(facts)
    for row in taken:
        end = ended.get(row["session_id"])
        if end is not None and facts.now_ms - end["ended_at"] > SLOT_FREE_WITHIN_MS:
            yield f"{row['session_id']} has ended and keeps a slot of {row['boot_id']}"


def _leases(facts: Facts) -> Iterator[str]:
    """A session holds one lease at most, an ended one none; a held lease on a living server has its slot."""
    held = [row for row in facts.leases if row["revoked_at"] is None]
    for session_id, number in Counter(row["session_id"] for row in held).items():
        if number > 1:
            yield f"{session_id} holds {number} leases"
    ended = _ended(facts)
    yield from (f"{row['session_id']} has ended and holds a lease" for row in held if row["session_id"] in ended)
    slots = {_pair(row) for row in facts.slots}
    yield from (f"{row['session_id']} holds a lease without a slot" for row in held if _pair(row) not in slots)


def _ends(facts: Facts) -> Iterator[str]:
    """I5, I7: an ended session has one end with one reason, the row's own; each step is recorded once."""
    for (session_id, step), number in Counter((row["session_id"], row["step"]) for row in facts.events).items():
        if step in ONCE and number > 1:
            yield f"{session_id} has {number} rows of {step}"
    reasons = {row["session_id"]: row["reason"] for row in facts.events if row["step"] == "record_ended"}
    ended = _ended(facts)
    for session_id, row in ended.items():
        if reasons.get(session_id) != row["end_reason"]:
            yield f"{session_id} ended as {row['end_reason']}, its audit row says {reasons.get(session_id)}"
    yield from (f"{session_id} has an end in the audit and has not ended" for session_id in reasons.keys() - ended)


def _workflows(facts: Facts) -> Iterator[str]:
    """I5, I6: who has not ended has a running workflow and its time left; who has ended has none for long."""
    known = {row["session_id"] for row in facts.sessions}
    for row in facts.sessions:
        session_id, runs = row["session_id"], row["session_id"] in facts.running
        if row["ended_at"] is None and not runs:
            yield f"{session_id} is {row['status']} and no workflow runs for it"
        if row["ended_at"] is not None and runs and facts.now_ms - row["ended_at"] > CLOSED_WITHIN_MS:
            yield f"{session_id} has ended and its workflow still runs"
        if row["status"] == "created" and facts.now_ms - row["created_at"] > CREATED_FOR_MS:
            yield f"{session_id} has been starting for too long"
    yield from (f"workflow {name} runs for no session" for name in sorted(facts.running - known))


def _avatars(facts: Facts) -> Iterator[str]:
    """I2: one avatar a room, and no more avatars or media processes than leases."""
    yield from (f"room {room} has {number} avatars" for room, number in facts.avatars.items() if number > 1)
    held = sum(row["revoked_at"] is None for row in facts.leases)
    if sum(facts.avatars.values()) > held:
        yield f"{sum(facts.avatars.values())} avatars are in rooms ({', '.join(facts.avatars)}), {held} leases are held"
    if len(facts.media) > held:
        yield f"{len(facts.media)} media processes are in rooms, {held} leases are held"


def _staged(facts: Facts) -> Iterator[str]:
    """I8: what is staged belongs to a workflow that runs."""
    yield from (f"staged by {owner}, which does not run" for owner in facts.staged if owner not in facts.running)


class Auditor:
    """Looks into one system: SQL on its file, Temporal's and LiveKit's own services, files, and /proc."""

    def __init__(self, folder: Path, run: str, temporal: Client, livekit: api.LiveKitAPI, port: int) -> None:
        """`folder`: the data folder; `run`: the mark of its processes; `port`: LiveKit's."""
        self._folder = folder
        self._run = run
        self._temporal = temporal
        self._livekit = livekit
        self._port = port

    async def facts(self) -> Facts:
        """What is there now."""
        avatars = await self._avatars()
        running = await self._running()
        tables = read_tables(self._folder / "greenroom.db")
        return Facts(
            now_ms=round(time.time() * 1000),
            running=running,
            avatars=avatars,
            media=tuple(in_a_room(self._run, self._port)),
            staged=staged_owners(self._folder / "objects"),
            **tables,
        )

    async def _running(self) -> frozenset[str]:
        query = "WorkflowType = 'CreateSessionWorkflow' AND ExecutionStatus = 'Running'"
        return frozenset([found.id async for found in self._temporal.list_workflows(query)])

    async def _avatars(self) -> dict[str, int]:
        rooms = (await self._livekit.room.list_rooms(api.ListRoomsRequest())).rooms
        found: Counter[str] = Counter()
        for room in rooms:
            there = await self._livekit.room.list_participants(api.ListParticipantsRequest(room=room.name))
            found[room.name] += sum("avatar" in participant.identity for participant in there.participants)
        return {room: number for room, number in found.items() if number}


def read_tables(file: Path) -> dict[str, Rows]:
    """The rows of the tables that the rules ask for, in one read of an SQLite file."""
    names = {"sessions": "sessions", "events": "session_events", "servers": "avatar_servers"}
    names |= {"slots": "slots", "leases": "leases"}
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("BEGIN")
        return {
            name: [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]  # noqa: S608 - our own names
            for name, table in names.items()
        }


def staged_owners(objects: Path) -> tuple[str, ...]:
    """Who staged what lies below `staging`, and what was left half-written."""
    staged = {path.relative_to(objects / "staging").parts[0] for path in _files(objects / "staging")}
    return (*sorted(staged), *(f"a half-written object, {path.name}" for path in _files(objects / ".new")))


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
