"""Rules and dashboard: every name in them is a metric that there is, and Prometheus's own tool takes them."""

import json
import re
import shutil
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml

import telemetry.metrics  # noqa: F401 - makes them
from support.promtool import run_promtool
from telemetry.instruments import SPECS

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))
TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "greenroom.json"
PAGE = ROOT / "docs" / "watching.md"
OTHERS = {
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "temporal_activity_schedule_to_start_latency_bucket",
    "temporal_request_latency_bucket",
    "up",
}
"""Of Prometheus, its client and Temporal's SDK: tests/end_to_end/test_watching.py sees that a system exposes them."""
NAME = re.compile(r"\b(?:greenroom|temporal|process)[_:][a-z0-9_:]+|\bup\b")


def rules() -> Iterator[dict[str, Any]]:
    """Every rule."""
    for file in RULES:
        for group in yaml.safe_load(file.read_text())["groups"]:
            yield from group["rules"]


def panels() -> list[dict[str, Any]]:
    """Every panel of the dashboard."""
    return list(json.loads(DASHBOARD.read_text())["panels"])


def expressions() -> Iterator[str]:
    """Everything that is asked of Prometheus."""
    yield from (rule["expr"] for rule in rules())
    yield from (target["expr"] for panel in panels() for target in panel.get("targets", []))


def test_every_name_is_a_metric_that_there_is() -> None:
    """A metric that is renamed takes alerts and panels along, and each of ours is on the dashboard or in an alert."""
    ours = {series: spec.name for spec in SPECS.values() for series in spec.series}
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    asked = {name for expression in expressions() for name in NAME.findall(expression)}
    assert asked - ours.keys() - recorded - OTHERS == set()
    assert asked >= OTHERS
    assert SPECS.keys() - {ours[name] for name in asked & ours.keys()} == set()


def test_labels_of_expressions_are_those_of_their_metrics() -> None:
    """A selector names labels that its metric has."""
    labels = {series: set(spec.labels) for spec in SPECS.values() for series in spec.series}
    for expression in expressions():
        for name, selector in re.findall(r"\b(greenroom_[a-z_]+)\{([^}]*)\}", expression):
            assert set(re.findall(r"(\w+)\s*[=!]", selector)) <= labels[name] | {"le", "instance"}, expression


def test_rules_are_taken(promtool: str, tmp_path: Path) -> None:
    """Configuration and rules load; so do the dashboard's expressions."""
    config = tmp_path / "prometheus.yml"
    config.write_text((PROMETHEUS / "prometheus.yml").read_text().replace("/etc/prometheus", str(PROMETHEUS)))
    assert run_promtool(promtool, "check", "config", config)[0] == 0
    asked = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(expressions())]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": asked}]}))
    status, said = run_promtool(promtool, "check", "rules", file)
    assert status == 0, said


def test_alerts_fire_when_they_should_and_only_then(promtool: str) -> None:
    """The rules' own unit tests pass, and there is one for each alert, firing and silent."""
    status, said = run_promtool(promtool, "test", "rules", *TESTS)
    assert status == 0, said
    cases = [one for file in TESTS for test in yaml.safe_load(file.read_text())["tests"] for one in alerts_of(test)]
    alerts = {rule["alert"] for rule in rules() if "alert" in rule}
    assert {one["alertname"] for one in cases if one["exp_alerts"]} == alerts
    assert {one["alertname"] for one in cases if not one["exp_alerts"]} == alerts


def test_unit_tests_of_rules_can_fail(promtool: str, tmp_path: Path) -> None:
    """Fleet gauges added up over workers, and an alert that never fires, are both found."""
    for before, after in (("max by (state)", "sum by (state)"), ("waiting >= 10", "waiting >= 1000")):
        tree = tmp_path / before.partition(" ")[0]
        shutil.copytree(PROMETHEUS, tree)
        for file in (tree / "rules").glob("*.yml"):
            file.write_text(file.read_text().replace(before, after))
        assert run_promtool(promtool, "test", "rules", *sorted((tree / "tests").glob("*.yml")))[0] != 0, before


def alerts_of(test: dict[str, Any]) -> list[dict[str, Any]]:
    """What a unit test says of alerts."""
    return list(test.get("alert_rule_test", []))


def test_every_alert_says_what_to_do() -> None:
    """Its runbook is a heading of docs/watching.md, and its severity one of two."""
    headings = {line.lstrip("# ").lower() for line in PAGE.read_text().splitlines() if line.startswith("#")}
    for rule in rules():
        if "alert" in rule:
            page, _, anchor = rule["annotations"]["runbook"].partition("#")
            assert (page, anchor) == ("docs/watching.md", rule["alert"].lower())
            assert anchor in headings
            assert rule["labels"]["severity"] in ("page", "ticket")


def test_dashboard_can_be_drawn() -> None:
    """Ids are unique, panels lie on Grafana's grid of 24 without covering each other, and each has title and query."""
    found = panels()
    assert len({panel["id"] for panel in found}) == len(found)
    for panel in found:
        place = panel["gridPos"]
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= 24
        assert panel["title"]
        if panel["type"] != "row":
            assert panel["description"]
            assert panel["targets"]
            assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
            assert {target["datasource"]["uid"] for target in panel["targets"]} == {"greenroom"}
    for one, other in combinations([panel["gridPos"] for panel in found], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below


def test_grafana_finds_data_and_dashboard() -> None:
    """The data source that the panels name is the one that is provisioned, at Prometheus's service."""
    folder = ROOT / "deploy" / "grafana" / "provisioning"
    [source] = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert (source["uid"], source["url"]) == ("greenroom", "http://prometheus:9090")
    [provider] = yaml.safe_load((folder / "dashboards" / "greenroom.yml").read_text())["providers"]
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"
