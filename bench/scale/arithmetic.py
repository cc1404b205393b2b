"""A model on paper: what so many sessions need, from what one was measured to need. Sums and products, nothing else."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import linear_regression
from typing import Any

from bench.scale.ladder import Ladder

SLICE_MINUTES = 10
BEATS = 3
"""Heartbeats within the time for one (activities/rooms.py)."""
RENEWALS_S = 1.0
Measured = Mapping[str, Any]
"""The figures of one `python -m bench.hold --save`."""
BUSY = 0.7
"""Of a core that one process may be used to on the average."""
PARTITIONS = 4
"""Of a task queue, as Temporal comes."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A fleet."""

    sessions: int
    minutes: float
    """How long a session lasts."""
    heartbeat_within: float = 3.0
    """GREENROOM_HEARTBEAT_WITHIN_S."""
    slots: int = 10
    """Of each avatar server."""
    reads: float = 2.0
    """Requests of a client about its session, besides create and end."""
    webhooks: float = 2.0
    """Events of a session that are delivered; each is a workflow of its own."""
    shards: int = 512
    """History shards of the Temporal cluster; chosen once, when it is made."""
    retention_days: float = 3.0
    cached: int = 1000
    """GREENROOM_CACHED_SESSIONS: workflows that a sessions worker keeps; each more is replayed at its next task."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of the model."""

    name: str
    value: float
    unit: str
    basis: str
    """`counted` in a committed history, `measured` by a hold and multiplied, or only `computed` from settings."""


def fleet(asked: Asked, ladder: Ladder, holds: Sequence[Measured]) -> list[Figure]:
    """Everything that so many sessions need.

    State transitions are read from all holds, two or more with different times for a heartbeat; the rest from the
    first, which should be the busiest.
    """
    starts = asked.sessions / (asked.minutes * 60)
    slices = max(math.ceil(asked.minutes / SLICE_MINUTES) - 1, 0)
    heartbeats = asked.sessions * _beats(asked.heartbeat_within)
    return [
        Figure(name="starts", value=starts, unit="/s", basis="computed"),
        *_temporal(asked, ladder, holds, starts, slices, heartbeats),
        *_database(asked, holds[0], starts, slices),
        *_processes(asked, holds[0], starts),
        Figure(name="API requests", value=starts * (2 + asked.reads), unit="/s", basis="computed"),
        Figure(name="object store requests, at most", value=starts * 2, unit="/s", basis="computed"),
        Figure(name="webhook deliveries", value=starts * asked.webhooks, unit="/s", basis="computed"),
    ]


def _beats(heartbeat_within: float) -> float:
    """Heartbeats a second of one session."""
    return BEATS / heartbeat_within


def _temporal(
    asked: Asked, ladder: Ladder, holds: Sequence[Measured], starts: float, slices: int, heartbeats: float
) -> list[Figure]:
    closed = holds[0]["closed"]
    each, own = linear_regression(
        [_beats(one["heartbeat_within"]) * one["closed"]["seconds"] for one in holds],
        [one["closed"]["transitions"] for one in holds],
    )
    transitions = starts * own + heartbeats * each
    size = closed["bytes"] * (1 + slices * 8 / ladder.events)
    actions = starts * (ladder.actions + 3 * slices + 2 * asked.webhooks) + heartbeats
    tasks = starts * (ladder.workflow_tasks + 2 * slices)
    return [
        Figure(name="heartbeats", value=heartbeats, unit="/s", basis="computed"),
        Figure(name="Temporal actions", value=actions, unit="/s", basis="counted"),
        Figure(name="state transitions", value=transitions, unit="/s", basis="measured"),
        Figure(name="state transitions a shard", value=transitions / asked.shards, unit="/s", basis="measured"),
        Figure(name="history", value=starts * size / 1024, unit="kB/s", basis="measured"),
        Figure(
            name="history kept", value=starts * size * asked.retention_days * 86400 / 1e9, unit="GB", basis="measured"
        ),
        Figure(name="workflow tasks", value=tasks, unit="/s", basis="counted"),
        Figure(name="workflow tasks a partition of `sessions`", value=tasks / PARTITIONS, unit="/s", basis="counted"),
    ]


def _database(asked: Asked, held: Measured, starts: float, slices: int) -> list[Figure]:
    servers = math.ceil(asked.sessions / asked.slots)
    idle, now = held["idle_per_second"], held["per_second"]

    def whole(name: str) -> float:
        each = (now[name] - idle[name]) / held["sessions"]
        return float(starts * (held["per_create"][name] + held["per_end"][name]) + each * asked.sessions)

    found = [
        Figure(name="avatar servers", value=servers, unit="", basis="computed"),
        Figure(name="renewals", value=servers / RENEWALS_S, unit="statements/s", basis="computed"),
        Figure(name="renewed leases", value=asked.sessions / RENEWALS_S, unit="rows/s", basis="computed"),
    ]
    if "rows" in now:
        commits = starts * (held["per_create"]["commits"] + held["per_end"]["commits"] + slices) + servers / RENEWALS_S
        found += [
            Figure(name="transactions", value=commits, unit="/s", basis="measured"),
            Figure(name="rows written", value=whole("rows"), unit="/s", basis="measured"),
            Figure(name="log of the database", value=whole("database bytes") / 1024, unit="kB/s", basis="measured"),
        ]
    return found


def _processes(asked: Asked, held: Measured, starts: float) -> list[Figure]:
    """Cores by creates and ends, and by holding; of Temporal, holding is the heartbeats."""
    found = []
    for name in ("api", "sessions worker", "temporal", "database"):
        part = held["parts"].get(name)
        if part is None:
            continue
        holding = asked.sessions * part["core_ms_per_session_s"]
        if name == "temporal":  # by the busier hold: the dev server needs more for each heartbeat when there are few
            holding *= held["heartbeat_within"] / asked.heartbeat_within
        cores = (starts * (part["create_ms"] + part["end_ms"]) + holding) / 1000
        found.append(Figure(name=f"CPU of {name}", value=cores, unit="cores", basis="measured"))
    cache = held["parts"]["sessions worker"]["kb_per_session"] * asked.sessions / 1024 / 1024
    api = next(one.value for one in found if one.name == "CPU of api")
    return [
        *found,
        Figure(name="API processes, one core each", value=math.ceil(api / BUSY), unit="", basis="measured"),
        Figure(name="cache of sessions workers", value=cache, unit="GB", basis="measured"),
        Figure(
            name="sessions workers, by their cache",
            value=math.ceil(asked.sessions / asked.cached),
            unit="",
            basis="computed",
        ),
    ]
