"""Metrics are named as Prometheus wants it, their labels are closed lists, and the page that tells of them is true."""

import re
from pathlib import Path

from prometheus_client import generate_latest

import telemetry.metrics  # noqa: F401 - makes them
from support.promtool import run_promtool
from telemetry.instruments import REGISTRY, SPECS
from telemetry.table import BEGIN, END, metrics_table

PAGE = Path(__file__).parents[2] / "docs" / "watching.md"
LABELS = {
    "boot_id",  # one for each start of a process
    "cause",
    "code",
    "kind",
    "method",
    "outcome",
    "reason",
    "role",
    "route",
    "stage",
    "state",
    "status",
    "step",
}
"""Words of closed lists. No session, account, room, picture or server is a label: their number has no end."""


def test_names_follow_prometheus_conventions(promtool: str) -> None:
    """Its own linter has nothing to say of what a process exposes."""
    status, said = run_promtool(promtool, "check", "metrics", given=generate_latest(REGISTRY).decode())
    assert (status, said) == (0, "")


def test_linter_would_say_something(promtool: str) -> None:
    """A counter without its ending is not taken."""
    status, said = run_promtool(promtool, "check", "metrics", given="# HELP a_x x\n# TYPE a_x counter\na_x 1\n")
    assert status != 0
    assert "_total" in said


def test_every_metric_is_ours_by_name_and_unit() -> None:
    """The prefix, the unit or `_total` at the end, and a sentence that says what it is."""
    for spec in SPECS.values():
        assert re.fullmatch(r"greenroom(_[a-z]+)+", spec.name)
        assert spec.name.endswith("_total") == (spec.kind == "counter"), spec.name
        assert re.match(r"\S.*\.$", spec.help), spec.name
        assert spec.roles


def test_labels_are_closed_lists() -> None:
    """A label that is new is a decision: it is made here."""
    assert {label for spec in SPECS.values() for label in spec.labels} == LABELS


def test_page_lists_every_metric() -> None:
    """The table of docs/watching.md is the one that these names make."""
    text = PAGE.read_text()
    table = text[text.index(BEGIN) + len(BEGIN) : text.index(END)]
    assert table.strip() == metrics_table().strip(), "put what telemetry.table.metrics_table() says between the marks"
