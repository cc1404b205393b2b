"""What must hold of a system at any moment (I1 to I8), over rows that somebody else has read. Mends nothing."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Rows = Sequence[Mapping[str, Any]]

LIVE_MS = 3_000
"""A server that has not renewed for so long is dead or stopped; its slots are freed when it is forgotten."""
CLOSED_WITHIN_MS = 15_000
"""How long after its end a session's workflow may still run."""
SLOT_FREE_WITHIN_MS = 10_000
CREATED_FOR_MS = 90_000
"""Longer than any create may take."""
OVERDUE_MS = 15_000
"""How long after its limit a session may still run: its own timer, or its server's, has ended it by then."""
ONCE = ("admit_session", "record_started", "record_ended")
"""Steps of which each session has one row at most."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What was found at one moment. Times in rows are epoch milliseconds."""

    now_ms: int
    """By the database's clock."""
    sessions: Rows
    events: Rows
    servers: Rows
    slots: Rows
    leases: Rows
    running: frozenset[str]
    """Ids of the session workflows that run."""
    avatars: Mapping[str, int] = field(default_factory=dict)
    """Avatars that the video server sees, by room."""
    media: tuple[int, ...] = ()
    """Media processes that are connected to a room."""
    staged: tuple[str, ...] = ()
    """Owners of what lies in the staging folder, and half-written objects."""
    pictured: tuple[str, ...] = ()
    """Avatars that have pictures in the store."""
    known_avatars: frozenset[str] = frozenset()
    """Avatars that have a row, and those that a workflow is making."""
    bills: tuple[str, ...] = ()
    """Sentences on bills that cannot be recomputed."""


@dataclass(frozen=True, kw_only=True)
class Breach:
    """A rule that does not hold."""

    invariant: str
    sentence: str


def breaches(facts: Facts) -> list[str]:
    """One sentence for each rule that does not hold; none if the system is whole."""
    return [breach.sentence for breach in found(facts)]


def found(facts: Facts) -> list[Breach]:
    """Each rule that does not hold, by its invariant."""
    return [Breach(invariant=name, sentence=text) for name, rule in RULES for text in rule(facts)]


def _pair(row: Mapping[str, Any]) -> tuple[str, int]:
    return row["session_id"], row["generation"]


def _ended(facts: Facts) -> dict[str, Any]:
    return {row["session_id"]: row for row in facts.sessions if row["ended_at"] is not None}


def _slots(facts: Facts) -> Iterator[str]:
    """What a slot serves holds its lease, and nobody has two slots; an ended session gives its slot back."""
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


def _avatars(facts: Facts) -> Iterator[str]:
    """One avatar a room, and no more avatars or media processes than leases."""
    yield from (f"room {room} has {number} avatars" for room, number in facts.avatars.items() if number > 1)
    held = sum(row["revoked_at"] is None for row in facts.leases)
    if sum(facts.avatars.values()) > held:
        yield f"{sum(facts.avatars.values())} avatars are in rooms ({', '.join(facts.avatars)}), {held} leases are held"
    if len(facts.media) > held:
        yield f"{len(facts.media)} media processes are in rooms, {held} leases are held"


def _bills(facts: Facts) -> Iterator[str]:
    """Every bill can be recomputed from what was served."""
    yield from facts.bills


def _workflows(facts: Facts) -> Iterator[str]:
    """Who has not ended has a running workflow; who has ended has none for long."""
    known = {row["session_id"] for row in facts.sessions}
    for row in facts.sessions:
        session_id, runs = row["session_id"], row["session_id"] in facts.running
        if row["ended_at"] is None and not runs:
            yield f"{session_id} is {row['status']} and no workflow runs for it"
        if row["ended_at"] is not None and runs and facts.now_ms - row["ended_at"] > CLOSED_WITHIN_MS:
            yield f"{session_id} has ended and its workflow still runs"
    yield from (f"workflow {name} runs for no session" for name in sorted(facts.running - known))


def _timers(facts: Facts) -> Iterator[str]:
    """No state lasts longer than its timer."""
    for row in facts.sessions:
        session_id = row["session_id"]
        if row["status"] == "created" and facts.now_ms - row["created_at"] > CREATED_FOR_MS:
            yield f"{session_id} has been starting for too long"
        limit_s = row.get("enforced_seconds")
        if row["status"] == "started" and limit_s is not None:
            late_ms = facts.now_ms - row["started_at"] - limit_s * 1000
            if late_ms > OVERDUE_MS:
                yield f"{session_id} should have ended {late_ms / 1000:.0f} s ago"


def _ends(facts: Facts) -> Iterator[str]:
    """An ended session has one end with one reason, the row's own; each step is recorded once."""
    for (session_id, step), number in Counter((row["session_id"], row["step"]) for row in facts.events).items():
        if step in ONCE and number > 1:
            yield f"{session_id} has {number} rows of {step}"
    reasons = {row["session_id"]: row["reason"] for row in facts.events if row["step"] == "record_ended"}
    ended = _ended(facts)
    for session_id, row in ended.items():
        if reasons.get(session_id) != row["end_reason"]:
            yield f"{session_id} ended as {row['end_reason']}, its audit row says {reasons.get(session_id)}"
    yield from (f"{session_id} has an end in the audit and has not ended" for session_id in reasons.keys() - ended)


def _objects(facts: Facts) -> Iterator[str]:
    """What is staged belongs to a workflow that runs, and what is stored to an avatar."""
    yield from (f"staged by {owner}, which does not run" for owner in facts.staged if owner not in facts.running)
    yield from (f"pictures of {name}, which is no avatar" for name in facts.pictured if name not in facts.known_avatars)


Rule = Callable[[Facts], Iterator[str]]

RULES: tuple[tuple[str, Rule], ...] = (
    ("I1", _slots),
    ("I2", _leases),
    ("I2", _avatars),
    ("I3", _bills),
    ("I5", _workflows),
    ("I6", _timers),
    ("I7", _ends),
    ("I8", _objects),
)
"""I4, an account's concurrency count, is counted from the sessions themselves each time: it cannot differ from them."""

MEANINGS: Mapping[str, str] = {
    "I1": "a slot serves one session at a time",
    "I2": "a session has one lease and one avatar",
    "I3": "every bill can be recomputed from what was served",
    "I4": "an account's concurrency count is that of its sessions that have not ended",
    "I5": "every session that has not ended is looked after by a workflow",
    "I6": "no state lasts longer than its timer",
    "I7": "an end is recorded once, with one reason",
    "I8": "no picture outlives its owner",
}
