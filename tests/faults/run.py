"""`make faults`: runs the fault tests, prints a row for each case, writes the report; the last line counts them.

A whole run takes one file after the other, each in a process of its own: a system that one of them broke is not the
next one's.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

MOST_GAP_S = 0.5
HERE = Path(__file__).parent
REPORT = HERE.parents[1] / "docs" / "reports" / "faults.md"
TALLY = "--tally"
"""`--tally FILE`: write what was found there, as JSON."""
COLUMNS = ("what", "when", "database", "held", "steady", "longest gap", "load", "verdict")
INTRODUCTION = """\
# What was broken, and what held

Made by `make faults`; {day}, {machine}, {minutes:.1f} minutes.

One system on one machine, one or two sessions at a time unless the row says more, 1280x960 at 25 frames a second.
`steady`: seconds from the fault until everything was as it should be, the next create included where the row says so.
`longest gap`: the longest time that a viewer decoded no new picture (repeats of one do not count) in the whole session;
rule 27 allows .5 s where the picture must not be touched; a case that found more is tried again, twice at most, and its
row says so. `load`: the machine's load over the minute before the case; one session with its viewer makes about 1.5, so
that more than the cores means that others were at work as well.

A create whose client is gone still starts its session (rule 3), which ends when nobody joins: after 8 s in the row
`api, mid-create`, after 120 s by default. `Locked`: nobody can write to the database, readers can read. PostgreSQL is
a server of its own, which the product reaches through a gate; `refuses` shuts the gate, on SQLite it is the lock.

After each case an auditor compares database, leases, slots, bills, workflows, rooms, staged objects and processes.

"""


class Tally:
    """Collects outcomes and rows while pytest runs."""

    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0
        self.skipped = 0
        self.rows: list[tuple[str, ...]] = []
        self._verdicts: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test has failed if any of its phases has."""
        seen = self._verdicts.get(report.nodeid, "passed")
        self._verdicts[report.nodeid] = report.outcome if seen == "passed" else seen
        if report.when == "teardown":
            verdict = self._verdicts[report.nodeid]
            setattr(self, verdict, getattr(self, verdict) + 1)
            self.rows += [_row(value, verdict) for name, value in report.user_properties if name == "case"]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A module that cannot be imported is a failure."""
        self.failed += report.failed

    def save(self, file: Path) -> None:
        """Write it down."""
        found = {"passed": self.passed, "failed": self.failed, "skipped": self.skipped, "rows": self.rows}
        file.write_text(json.dumps(found))

    def add(self, file: Path) -> None:
        """Count what another process wrote down; one that wrote nothing has failed."""
        if not file.exists():
            self.failed += 1
            return
        found = json.loads(file.read_text())
        self.passed += found["passed"]
        self.failed += found["failed"]
        self.skipped += found["skipped"]
        self.rows += [tuple(row) for row in found["rows"]]


def _row(case: Any, verdict: str) -> tuple[str, ...]:
    steady, gap = case["steady_s"], case["gap_s"]
    numbers = ("-" if steady is None else f"{steady:.1f} s", "-" if gap is None else f"{gap:.2f} s")
    if gap is not None and gap > MOST_GAP_S and case["gap_after_s"] is not None:
        numbers = (numbers[0], f"{numbers[1]} from {case['gap_after_s']:+.1f} s on")
    held, load = case["held"] or "-", f"{case['load']:.1f}"
    held += f" (try {case['tries']})" if case["tries"] > 1 else ""
    return (
        case["what"],
        case["when"],
        case["database"],
        held,
        *numbers,
        load,
        "held" if verdict == "passed" else "FAILED",
    )


def show(rows: Sequence[Sequence[str]]) -> None:
    """Print the table."""
    widths = [max(len(row[i]) for row in (COLUMNS, *rows)) for i in range(len(COLUMNS))]
    for row in (COLUMNS, tuple("-" * width for width in widths), *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())  # noqa: T201


def report(tally: Tally, seconds: float) -> str:
    """The report as Markdown."""
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    machine = f"{platform.system()} on {os.cpu_count()} {platform.machine()} cores"
    text = INTRODUCTION.format(day=day, machine=machine, minutes=seconds / 60)
    lines = [COLUMNS, ("---",) * len(COLUMNS), *tally.rows]
    table = "\n".join(f"| {' | '.join(row)} |" for row in lines)
    return f"{text}{table}\n\n{tally.passed} passed, {tally.failed} failed\n"


def run_chosen(arguments: Sequence[str], tally: Tally) -> int:
    """Run those tests that pytest's arguments choose; its exit code."""
    # The faults themselves are loud; what matters stands in the rows and in the failures.
    where = [] if any("::" in one or Path(one).exists() for one in arguments) else [str(HERE)]
    return int(pytest.main([*where, "-v", "--tb=short", "--show-capture=no", *arguments], plugins=[tally]))


def run_whole(tally: Tally) -> int:
    """Run file after file; 1 if any has failed."""
    codes = []
    for file in sorted(HERE.glob("test_*.py")):
        with tempfile.TemporaryDirectory() as folder:
            found = Path(folder) / "tally.json"
            codes.append(
                subprocess.run([sys.executable, __file__, str(file), TALLY, str(found)], check=False).returncode
            )
            tally.add(found)
    return int(any(codes))


def main(arguments: Sequence[str]) -> int:
    """Run all fault tests, or those that pytest's arguments choose; only a whole run is reported."""
    tally = Tally()
    began = time.monotonic()
    if TALLY in arguments:
        place = arguments.index(TALLY)
        try:
            return run_chosen([*arguments[:place], *arguments[place + 2 :]], tally)
        finally:  # pytest may fail of what a test left behind, after all of them
            tally.save(Path(arguments[place + 1]))
    code = run_chosen(arguments, tally) if arguments else run_whole(tally)
    seconds = time.monotonic() - began
    show(tally.rows)
    if not arguments and tally.passed:
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        REPORT.write_text(report(tally, seconds))
    skipped = f", {tally.skipped} skipped" if tally.skipped else ""
    print(f"\n{seconds / 60:.1f} minutes{skipped}")  # noqa: T201
    print(f"{tally.passed} passed, {tally.failed} failed")  # noqa: T201
    return code or int(tally.failed > 0 or tally.passed == 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
