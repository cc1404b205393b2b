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


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What a row should be; exactly one is given."""

    ratio: float | None = None
    """At most."""
    least_ratio: float | None = None
    value: float | None = None
    """At most."""

    def words(self, unit: str) -> str:
        """As the table has it."""
        if self.value is not None:
            return f"{self.value:g} {unit}"
        return f"ratio {self.ratio:g}" if self.ratio is not None else f"ratio {self.least_ratio:g} or more"

    def is_met(self, value: float, ratio: float) -> bool:
        """Is it, by a row's value and ratio?"""
        if self.value is not None:
            return value <= self.value
        return ratio <= self.ratio if self.ratio is not None else ratio >= (self.least_ratio or 0)


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
    ratio = value / reference
    return Row(
        name=name,
        value=round(value, 3),
        p95=round(percentile(values, 95), 3),
        unit=unit,
        reference=round(reference, 3),
        reference_name=reference_name,
        ratio=round(ratio, 3),
        goal=goal.words(unit),
        met=goal.is_met(value, ratio),
        note=note,
    )


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
        mark = "[green]met[/]" if one.met else "[red]missed[/]"
        shown.add_row(one.name, value, p95, floor, f"{one.ratio:.2f}", one.goal, mark, one.reference_name)
    return shown


def line(rows: Sequence[Row]) -> str:
    """The last line of the output: `BENCH` and JSON."""
    fields = ("value", "p95", "unit", "reference", "reference_name", "ratio")
    return "BENCH " + json.dumps({"rows": {one.name: {name: getattr(one, name) for name in fields} for one in rows}})
