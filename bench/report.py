"""Rows of the bench: a figure beside its floor of the same run, as a table for people and a line for scripts."""

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure. Lower is better; `ratio` is value over reference."""

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
    """What the ratio, or the value, should not exceed, in words."""
    met: bool


def row(
    name: str,
    values: Sequence[float],
    floors: Sequence[float],
    *,
    unit: str,
    reference_name: str,
    ratio_goal: float | None = None,
    value_goal: float | None = None,
) -> Row:
    """A row of the rounds' values and the floor's; exactly one of the goals is given."""
    value, reference = statistics.median(values), statistics.median(floors)
    ratio = value / reference
    met = ratio <= ratio_goal if ratio_goal is not None else value <= (value_goal or math.inf)
    goal = f"ratio {ratio_goal:g}" if ratio_goal is not None else f"{value_goal:g} {unit}"
    return Row(
        name=name,
        value=round(value, 3),
        p95=round(percentile(values, 95), 3),
        unit=unit,
        reference=round(reference, 3),
        reference_name=reference_name,
        ratio=round(ratio, 3),
        goal=goal,
        met=met,
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
