"""Looks whether a system is whole: reads its parts by other ways than the product does, and never changes any.

The rules are those of `greenroom audit`; what they are asked about is found here by other means.
"""

import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from livekit import api
from temporalio.client import Client

from domain.invariants import CREATED_FOR_MS, LIVE_MS, Facts, breaches
from support.fault_processes import in_a_room

__all__ = ["CREATED_FOR_MS", "LIVE_MS", "Auditor", "Facts", "breaches", "read_tables", "staged_owners"]

Tables = dict[str, list[dict[str, Any]]]


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


def read_tables(file: Path) -> Tables:
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
