"""Is a series flat? A straight line through it, how sure its slope is, and a rule: flat, grows, unclear."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

SURE = 1.96
"""Standard errors on either side: 95 %."""
FEW = 4

Verdict = Literal["flat", "grows", "unclear"]


@dataclass(frozen=True, kw_only=True)
class Slope:
    """How much a series changes a minute."""

    per_minute: float
    low: float
    high: float
    """The slope lies between them with 95 % confidence."""


def slope(times: Sequence[float], values: Sequence[float]) -> Slope:
    """The least-squares line through values at so many seconds.

    Neighbours are alike, so n samples tell as much as n(1 - r)/(1 + r) independent ones, r being the correlation of
    neighbouring residuals (Santer et al. 2000, doi:10.1029/1999JD901105). ValueError for fewer than four samples.
    """
    number = len(times)
    if number < FEW:
        raise ValueError("a slope needs four samples")
    minutes = [at / 60 for at in times]
    mean_x, mean_y = sum(minutes) / number, sum(values) / number
    spread = sum((x - mean_x) ** 2 for x in minutes)
    rise = sum((x - mean_x) * (y - mean_y) for x, y in zip(minutes, values, strict=True)) / spread
    left = [y - mean_y - rise * (x - mean_x) for x, y in zip(minutes, values, strict=True)]
    squares = sum(one * one for one in left)
    alike = sum(a * b for a, b in itertools.pairwise(left)) / squares if squares else 0.0
    alike = min(max(alike, 0.0), 0.95)
    independent = max(number * (1 - alike) / (1 + alike) - 2, 1.0)
    error = math.sqrt(squares / independent / spread)
    return Slope(per_minute=rise, low=rise - SURE * error, high=rise + SURE * error)


def verdict(found: Slope, tolerance: float) -> Verdict:
    """`grows`: it surely rises by more than the tolerance a minute; `flat`: it surely does not; else `unclear`."""
    if found.low > tolerance:
        return "grows"
    return "flat" if found.high <= tolerance else "unclear"
