"""What tests measure stands below the run's results, whichever of pytest's processes measured it."""

from collections.abc import Callable

import pytest

NAME = "measured"


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Takes a line that stands below the run's results."""
    return lambda text: request.node.user_properties.append((NAME, f"{request.node.name}: {text}"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what was measured."""
    # A test's report of its tear-down carries all that the test noted; it has no outcome of its own, hence the key "".
    reports = [report for kind in ("", "error") for report in terminalreporter.stats.get(kind, [])]
    lines = [
        str(text)
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "teardown"
        for name, text in report.user_properties
        if name == NAME
    ]
    if lines:
        terminalreporter.section("measured")
        for line in lines:
            terminalreporter.write_line(line)
