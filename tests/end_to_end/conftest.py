"""What the end-to-end tests share: the avatar that most sessions show, and a place for what they measure."""

from collections.abc import Callable

import pytest

from support import pictures
from support.real_system import RealSystem

MEASURED = pytest.StashKey[list[str]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run these tests last: their system then lives no longer than they do."""
    items.sort(key=lambda item: "end_to_end" in item.path.parts)


@pytest.fixture(scope="session")
async def astronaut(real_system: RealSystem) -> str:
    """The avatar of a photograph, 512x512."""
    return str((await real_system.upload(pictures.astronaut()))["avatar_id"])


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Takes a line that stands below the run's results."""
    lines = request.config.stash.setdefault(MEASURED, [])
    return lambda text: lines.append(f"{request.node.name}: {text}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what was measured."""
    lines = terminalreporter.config.stash.get(MEASURED, [])
    if lines:
        terminalreporter.section("measured")
        for line in lines:
            terminalreporter.write_line(line)
