"""The line of creates that wait for a slot (rule 12): first come, first served, and fair over accounts."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from domain.labels import Labels


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A create that waits."""

    session_id: str
    account_id: str
    requires: Labels = field(default_factory=dict)
    """Labels that its server must have."""


def in_turn(entries: Iterable[Entry]) -> Sequence[Entry]:
    """The order in which entries, given as they came, get a slot: each account's first, then each one's second.

    Nobody is passed over for ever: an account's second becomes its first when that one has been served, and then
    stands before everybody who came later.
    """
    seen: Counter[str] = Counter()
    turns = []
    for number, entry in enumerate(entries):
        seen[entry.account_id] += 1
        turns.append((seen[entry.account_id], number, entry))
    return [entry for *_, entry in sorted(turns, key=lambda turn: turn[:2])]


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a create stands in line."""

    ahead: int
    """Who gets a slot first."""
    length: int
    """Everybody who waits, this create not counted."""
    waits: bool
    """Is it in the line itself?"""
    required_ahead: Sequence[Labels] = field(default=(), compare=False)
    """What each of those who get a slot first requires."""


def standing_of(session_id: str, account_id: str, entries: Iterable[Entry]) -> Standing:
    """Where a create stands among entries given as they came; one that is not in the line yet comes last."""
    line = list(entries)
    waits = any(entry.session_id == session_id for entry in line)
    ordered = in_turn(line if waits else [*line, Entry(session_id=session_id, account_id=account_id)])
    ahead = next(number for number, entry in enumerate(ordered) if entry.session_id == session_id)
    before = [entry.requires for entry in ordered[:ahead]]
    return Standing(ahead=ahead, length=len(line) - waits, waits=waits, required_ahead=before)
