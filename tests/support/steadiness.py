"""Pictures and sounds that must not freeze, observed on machines that now and then stand still themselves."""

import functools
from collections.abc import Awaitable, Callable
from typing import ParamSpec

MOST_GAP_S = 0.5
"""Design rule 27."""
TRIES = 3

P = ParamSpec("P")


class Froze(AssertionError):
    """A viewer saw no new picture for too long, or a listener heard a sound at the wrong time."""


def check_gap(gap_s: float) -> None:
    """Froze where a gap is longer than rule 27 allows."""
    if gap_s > MOST_GAP_S:
        raise Froze(f"no new picture for {gap_s:.2f} s; {MOST_GAP_S} s are allowed")


def check_lasted(found_s: float, expected_s: float, within_s: float) -> None:
    """Froze where something was heard longer or shorter than it should have been: a pause of the machine does that."""
    if abs(found_s - expected_s) > within_s:
        raise Froze(f"lasted {found_s:.3f} s where {expected_s:.3f} s were expected, to {within_s} s")


def three_tries(test: Callable[P, Awaitable[None]]) -> Callable[P, Awaitable[None]]:
    """Play a test again if nothing but a frozen picture or sound was wrong: our own faults come every time."""

    @functools.wraps(test)
    async def tried(*args: P.args, **kwargs: P.kwargs) -> None:
        for _ in range(TRIES - 1):
            try:
                return await test(*args, **kwargs)
            except Froze:
                continue
        return await test(*args, **kwargs)

    return tried
