"""Looks whether a system is whole: reads its parts by other ways than the product does, and never changes any.

The rules are those of `greenroom audit`; what they are asked about is found here by other means.
"""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from livekit import api
from temporalio.client import Client

from domain.invariants import CREATED_FOR_MS, LIVE_MS, Facts, breaches
from support.fault_database import FaultDatabase, SQLiteDatabase, sums
from support.fault_processes import in_a_room

__all__ = ["CREATED_FOR_MS", "LIVE_MS", "Auditor", "Facts", "breaches", "read_tables", "staged_owners"]

MINUTE_MS = 60_000
PUBLISHED_BEFORE_MS = 5_000
"""The video is published a moment before the start is committed, and served until the end is."""

Tables = dict[str, list[dict[str, Any]]]


class Auditor:
    """Looks into one system: SQL on its database, Temporal's and LiveKit's own services, files, and /proc."""

    def __init__(
        self, folder: Path, database: FaultDatabase, run: str, temporal: Client, livekit: api.LiveKitAPI, port: int
    ) -> None:
        """`folder`: the data folder; `run`: the mark of its processes; `port`: LiveKit's."""
        self._folder = folder
        self._database = database
        self._run = run
        self._temporal = temporal
        self._livekit = livekit
        self._port = port

    async def facts(self) -> Facts:
        """What is there now."""
        avatars = await self._avatars()
        running = await self._running()
        tables = self._database.tables((*NAMES.values(), "charges"))
        return Facts(
            now_ms=round(time.time() * 1000),
            running=running,
            avatars=avatars,
            media=tuple(self._media()),
            staged=await self._staged(),
            bills=tuple(wrong_bills(tables)),
            **{name: tables[table] for name, table in NAMES.items()},
        )

    def _media(self) -> list[int]:
        return in_a_room(self._run, self._port)

    async def _staged(self) -> tuple[str, ...]:
        return staged_owners(self._folder / "objects")

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


NAMES = {name: name for name in ("sessions", "slots", "leases")}
NAMES |= {"events": "session_events", "servers": "avatar_servers"}
"""The tables that the rules ask for, by the names that they have there."""


def read_tables(file: Path) -> Tables:
    """The rows of the tables that the rules ask for, in one read of an SQLite file."""
    tables = SQLiteDatabase(file.parent).tables(NAMES.values())
    return {name: tables[table] for name, table in NAMES.items()}


def wrong_bills(tables: Tables) -> Iterator[str]:
    """A sentence for each bill that is missing, too many, or other than what was served, rounded up once."""
    served = dict(sums(tables["leases"], "session_id", "served_ms"))
    bills = {row["session_id"]: row for row in tables["charges"]}
    for row in tables["sessions"]:
        name, bill = row["session_id"], bills.get(row["session_id"])
        if (bill is not None) != (row["started_at"] is not None and row["ended_at"] is not None):
            yield f"{name} is {row['status']} and has {'a' if bill else 'no'} bill"
        if bill is None:
            continue
        served_ms = served.get(name, 0) if row["attended_at"] is not None else 0
        held = row["reserved_minutes"]
        minutes = -(-served_ms // MINUTE_MS) if held is None else min(-(-served_ms // MINUTE_MS), held)
        told = (bill["served_ms"], bill["minutes"], bill["included_minutes"] + bill["purchased_minutes"])
        if told != (served_ms, minutes, minutes):
            yield f"{name} was billed {told} (milliseconds, minutes, their sources), served {served_ms} ms"
        if served_ms > row["ended_at"] - row["started_at"] + PUBLISHED_BEFORE_MS:
            yield f"{name} was billed {served_ms} ms, it lasted {row['ended_at'] - row['started_at']} ms"


def staged_owners(objects: Path) -> tuple[str, ...]:
    """Who staged what lies below `staging`, and what was left half-written."""
    staged = {path.relative_to(objects / "staging").parts[0] for path in _files(objects / "staging")}
    return (*sorted(staged), *(f"a half-written object, {path.name}" for path in _files(objects / ".new")))


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
