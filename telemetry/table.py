"""The table of metrics for docs/watching.md, from the metrics themselves."""

from typing import Final

import telemetry.metrics  # noqa: F401 - makes them
from telemetry.instruments import SPECS, Spec

BEGIN: Final = "<!-- metrics: a test compares this table with telemetry/metrics.py -->"
END: Final = "<!-- end of metrics -->"


def metrics_table() -> str:
    """One line a metric, in the order in which they are defined."""
    head = "| metric | labels | from | |\n|---|---|---|---|\n"
    return head + "\n".join(map(_row, SPECS.values()))


def _row(spec: Spec) -> str:
    labels = ", ".join(f"`{one}`" for one in spec.labels)
    return f"| `{spec.name}` ({spec.kind}) | {labels} | {', '.join(spec.roles)} | {spec.help} |"
