"""What a part of the system has used so far: processor, memory, and what Temporal and the database have counted."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from database.engine import reading
from database.tables import avatar_servers, leases

TICKS = os.sysconf("SC_CLK_TCK")
_PPID, _UTIME, _CSTIME = 1, 11, 14
"""Places in /proc/PID/stat behind the program's name; see proc(5)."""

HEARTBEAT = "RecordActivityTaskHeartbeat"
WRITTEN = text(
    "SELECT xact_commit, tup_inserted + tup_updated + tup_deleted, pg_current_wal_lsn() - '0/0'"
    " FROM pg_stat_database WHERE datname = current_database()"
)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One look at everything; sums since each process began, but for the memory."""

    at: float
    memory_mb: Mapping[str, float]
    """By part; pages that processes share are counted once, by shares."""
    cpu_s: Mapping[str, float]
    """By part, all its processes together."""
    counts: Mapping[str, float] = field(default_factory=dict)
    """By name as in `Meters.counts`; empty where only processes were looked at."""


class Meters:
    """Looks at a running system from outside."""

    def __init__(self, parts: Mapping[str, Callable[[], int | None]], engine: AsyncEngine, metrics: str) -> None:
        """`parts`: the first process of each; `metrics`: the address of Temporal's."""
        self._parts = parts
        self._engine = engine
        self._metrics = metrics

    async def look(self, *, count: bool) -> Reading:
        """All parts, and with `count` all counters too (Temporal needs some 10 ms for that)."""
        trees = await asyncio.to_thread(lambda: {name: tree(pid()) for name, pid in self._parts.items()})
        counts = await self.counts() if count else {}
        memory = {name: sum(map(memory_of, pids)) for name, pids in trees.items()}
        cpu = {name: sum(map(cpu_with_children, pids)) for name, pids in trees.items()}
        return Reading(at=time.monotonic(), memory_mb=memory, cpu_s=cpu, counts=counts)

    async def counts(self) -> dict[str, float]:
        """What was counted so far: heartbeats, transitions, requests to the store; renewals, rows, bytes."""
        return await self._of_temporal() | await self._of_database()

    async def _of_temporal(self) -> dict[str, float]:
        async with httpx.AsyncClient(timeout=30) as http:
            page = (await http.get(self._metrics)).text
        return temporal_counts(page)

    async def _of_database(self) -> dict[str, float]:
        async with reading(self._engine) as connection:
            statements = await connection.scalar(select(func.sum(avatar_servers.c.renewals)))
            rows = await connection.scalar(select(func.sum(leases.c.renewals)))
            found = {"renewals": float(statements or 0), "renewed leases": float(rows or 0)}
            if self._engine.dialect.name == "postgresql":
                commits, changed, wal = (await connection.execute(WRITTEN)).one()
                found |= {"commits": float(commits), "rows": float(changed), "database bytes": float(wal)}
        return found


def temporal_counts(page: str) -> dict[str, float]:
    """The sums that matter here of Temporal's page of metrics."""
    found = {"heartbeats": 0.0, "requests": 0.0, "store requests": 0.0, "transitions": 0.0}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name in ("service_requests", "service_requests_total"):
                if sample.labels.get("service_name") == "frontend":
                    found["requests"] += sample.value
                    found["heartbeats"] += sample.value if sample.labels.get("operation") == HEARTBEAT else 0
            elif sample.name in ("persistence_requests", "persistence_requests_total"):
                found["store requests"] += sample.value
            elif sample.name == "state_transition_count_count":  # its sum is of each execution's number so far
                found["transitions"] += sample.value
    return found


def tree(pid: int | None) -> list[int]:
    """A process and all that descend from it; empty where it is gone."""
    if pid is None:
        return []
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        if fields := _stat(int(folder.name)):
            children.setdefault(int(fields[_PPID]), []).append(int(folder.name))
    found, new = [pid], [pid]
    while new:
        new = [child for parent in new for child in children.get(parent, [])]
        found += new
    return found


def cpu_with_children(pid: int) -> float:
    """CPU seconds of a process and of its children that have ended; 0 when it is gone."""
    fields = _stat(pid)
    return sum(int(number) for number in fields[_UTIME : _CSTIME + 1]) / TICKS


def memory_of(pid: int) -> float:
    """Proportional memory in megabytes; 0 when it is gone."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return int(rollup.partition("\nPss:")[2].split()[0]) / 1024


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def size_of(folder: Path, name: str) -> float:
    """Bytes of a SQLite file with its log."""
    return float(sum(path.stat().st_size for path in folder.glob(f"{name}*")))
