"""How `make test` spreads the tests over four processes: most of them wait, so that four do not hinder each other.

Tests that watch a picture move come first, each kind in one process, one after the other: more streams at once than
cores would measure each other. Of all others a file stays together, so that what it starts is started once.
"""

import os
from pathlib import Path, PurePosixPath

import pytest
from xdist.scheduler import LoadScopeScheduling

TESTS = Path(__file__).resolve().parents[1]

SYSTEM = ("end_to_end/*.py",)
"""Files whose tests share one system that runs."""

ROOMS = (
    *(f"presence/test_{name}.py" for name in ("avatar_*", "join_refusals", "livekit_*", "pool")),
    *("cli/test_demo.py", "cli/test_dev.py", "test_compose_services.py"),
)
"""Files whose tests start rooms, and media processes or whole systems for them; as long as the others."""

YIELDING = 3
"""How much nicer a process is from its first test on in which nothing moves: pictures are not to wait for it."""


class Spread(LoadScopeScheduling):
    """A file's tests together, and each kind of moving pictures (xdist's groups need what pytest 9.2 dropped)."""

    def _split_scope(self, nodeid: str) -> str:
        path = PurePosixPath(nodeid.split("::", maxsplit=1)[0])
        return kind(path.relative_to(TESTS.name)) or str(path)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Spread:
    """Spread tests in our way wherever there is more than one process."""
    return Spread(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put moving pictures first: what they need of the cores is there from the beginning, and they take longest."""
    order = ("rooms", "system", "")
    items.sort(key=lambda item: order.index(kind(place(item))))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let the processes that watch moving pictures go first, as long as there are any."""
    if "PYTEST_XDIST_WORKER" in os.environ and not kind(place(item)) and os.nice(0) < YIELDING:
        os.nice(YIELDING)


def place(item: pytest.Item) -> Path:
    """A test's file, seen from the folder of all tests."""
    return item.path.relative_to(TESTS)


def kind(path: Path | PurePosixPath) -> str:
    """Which kind of moving pictures a file watches; empty if it watches none."""
    if any(path.match(pattern) for pattern in SYSTEM):
        return "system"
    return "rooms" if any(path.match(pattern) for pattern in ROOMS) else ""
