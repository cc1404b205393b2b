"""Rows of the bench: a figure beside its floor of the same run, as a table for people and a line for scripts."""

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure. Lower is better, unless the goal says otherwise; `ratio` is value over reference."""

    name: str
    value: float
    """The median of all rounds."""
    p95: float
    unit: str
    reference: float
    """The floor's median."""
    reference_name: str
    ratio: float
    goal: str
    """What the ratio, or the value, should be, in words."""
    met: bool
    note: str = ""
    """What else the rounds told."""
    rounds: tuple[float, ...] = ()
    """Each round's value."""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What a row should be; all that is given holds."""

    ratio: float | None = None
    """At most."""
    least_ratio: float | None = None
    value: float | None = None
    """At most."""
    more: float | None = None
    """At most so much above the floor."""
    not_behind: bool = False
    """Not above the floor by more than its rounds lie apart."""

    def words(self, unit: str) -> str:
        """As the table has it."""
        said = {
            f"{self.value or 0:g} {unit}": self.value is not None,
            f"ratio {self.ratio or 0:g}": self.ratio is not None,
            f"ratio {self.least_ratio or 0:g} or more": self.least_ratio is not None,
            f"{self.more or 0:g} {unit} more": self.more is not None,
            "not behind": self.not_behind,
        }
        return ", ".join(words for words, asked in said.items() if asked)

    def is_met(self, values: Sequence[float], floors: Sequence[float]) -> bool:
        """Is it, by a row's rounds?"""
        value, floor = statistics.median(values), statistics.median(floors)
        ratio = _ratio(value, floor)
        apart = percentile(floors, 95) - percentile(floors, 5)
        return (
            (self.value is None or value <= self.value)
            and (self.ratio is None or ratio <= self.ratio)
            and (self.least_ratio is None or ratio >= self.least_ratio)
            and (self.more is None or value <= floor + self.more)
            and (not self.not_behind or value <= floor + apart)
        )


def row(
    name: str,
    values: Sequence[float],
    floors: Sequence[float],
    *,
    unit: str,
    reference_name: str,
    goal: Goal,
    note: str = "",
) -> Row:
    """A row of the rounds' values and the floor's."""
    value, reference = statistics.median(values), statistics.median(floors)
    ratio = _ratio(value, reference)
    return Row(
        name=name,
        value=round(value, 3),
        p95=round(percentile(values, 95), 3),
        unit=unit,
        reference=round(reference, 3),
        reference_name=reference_name,
        ratio=round(ratio, 3),
        goal=goal.words(unit),
        met=goal.is_met(values, floors),
        note=note,
        rounds=tuple(values),
    )


def beside(name: str, values: Sequence[float], other: Row, *, what: str, note: str = "") -> Row:
    """A row of the same thing elsewhere: its reference is what we took there, and there is no goal."""
    return row(name, values, other.rounds, unit=other.unit, reference_name=what, goal=Goal(), note=note)


def _ratio(value: float, reference: float) -> float:
    """Of a floor of nothing too: it may be exact where we are not."""
    return value / max(reference, 1e-3)


def percentile(values: Sequence[float], percent: float) -> float:
    """By linear interpolation between the nearest ranks."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below = ordered[math.floor(place)]
    return below + (ordered[math.ceil(place)] - below) * (place % 1)


def table(rows: Sequence[Row]) -> Table:
    """The rows as people read them."""
    shown = Table(title="What it costs, beside its floor in the same run", title_justify="left")
    for name in ("row", "median", "95 %", "floor", "ratio", "goal", ""):
        shown.add_column(name, justify="left" if name in ("row", "goal", "") else "right", no_wrap=True)
    shown.add_column("the floor is", overflow="fold")
    for one in rows:
        value, p95, floor = (f"{number:.3g} {one.unit}" for number in (one.value, one.p95, one.reference))
        mark = "" if not one.goal else "[green]met[/]" if one.met else "[red]missed[/]"
        shown.add_row(one.name, value, p95, floor, f"{one.ratio:.2f}", one.goal, mark, one.reference_name)
    return shown


def line(rows: Sequence[Row]) -> str:
    """The last line of the output: `BENCH` and JSON."""
    fields = ("value", "p95", "unit", "reference", "reference_name", "ratio")
    return "BENCH " + json.dumps({"rows": {one.name: {name: getattr(one, name) for name in fields} for one in rows}})
