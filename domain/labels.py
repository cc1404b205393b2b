"""Labels of avatar servers, and what sessions require of them: plain pairs, of which all must be there."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

Labels = Mapping[str, str]

_PAIR = re.compile(r"([a-z0-9][a-z0-9_-]{0,31})=([A-Za-z0-9][A-Za-z0-9._-]{0,62})")
MOST = 16


def parse_labels(text: str) -> dict[str, str]:
    """The pairs of `gpu=h100,region=eu`; ValueError where it is none, or a name stands twice."""
    pairs = [_PAIR.fullmatch(part.strip()) for part in text.split(",") if part.strip()]
    labels = {pair[1]: pair[2] for pair in pairs if pair is not None}
    if len(labels) != len(pairs) or len(labels) > MOST:
        raise ValueError(f"write name=value,..., each name once, {MOST} at most, such as gpu=h100,region=eu")
    return labels


def fits(labels: Labels, requires: Labels) -> bool:
    """Has a server all that is required?"""
    return requires.items() <= labels.items()


Kind = frozenset[tuple[str, str]]


def kinds_for(requires: Labels, ahead: Sequence[Labels], free: Mapping[Kind, int]) -> set[Kind]:
    """The kinds of servers of which a create may take a slot, where others stand before it in line.

    A slot may be taken if those ahead can have as many of the slots that are free without it as with it: who waits for
    other labels is no hindrance, and nobody loses a slot that it could have had. `free` are slots by their labels.
    """
    wants = [frozenset(one.items()) for one in ahead]
    mine = frozenset(requires.items())
    served = _served(wants, free)
    candidates = [kind for kind, number in free.items() if number and mine <= kind]
    return {kind for kind in candidates if _served(wants, {**free, kind: free[kind] - 1}) == served}


def _served(wants: Sequence[Kind], free: Mapping[Kind, int]) -> int:
    """How many can have a slot at once: the largest matching, found by augmenting paths."""
    given: dict[int, Kind] = {}

    def settle(number: int, tried: set[Kind]) -> bool:
        used = Counter(given.values())
        for kind in free:
            if kind in tried or not wants[number] <= kind:
                continue
            tried.add(kind)
            holders = [other for other, held in given.items() if held == kind]
            if used[kind] < free[kind] or any(settle(other, tried) for other in holders):
                given[number] = kind
                return True
        return False

    return sum(settle(number, set()) for number in range(len(wants)))
