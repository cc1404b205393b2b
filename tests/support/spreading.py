"""How `make test`, `make commands` and `make rooms` divide the tests, and spread theirs over processes.

Tests that watch a picture move in a room want the machine for themselves: `make rooms` has them, one after the other.
What an operator types, deploys and upgrades has a verb of its own, so that `make test` stays quick. Those of the whole
system are the first of `make test`, in one process, and the others make way for it. Of all others a file stays
together, so that what it starts is started once.
"""

import os
from pathlib import Path, PurePosixPath

import pytest
from xdist.scheduler import LoadScopeScheduling

TESTS = Path(__file__).resolve().parents[1]

SYSTEM = ("end_to_end/test_session.py",)
"""The story of whole sessions on a running system: what every change should see."""

ROOMS = (
    "end_to_end/*.py",
    *(f"presence/test_{name}.py" for name in ("avatar_*", "join_refusals", "livekit_*", "pool")),
    *("cli/test_demo.py", "cli/test_dev.py", "test_compose_services.py"),
)
"""Files whose tests start rooms, and media processes or whole systems for them; as long as the others."""

COMMANDS = (
    *("cli/*.py", "runtime/*.py", "deploy/*.py", "replay/*.py", "test_compose.py"),
    *("api/test_codec_server.py", "database/test_migrations.py", "worker/test_versions.py"),
    "workflows/test_operations.py",
)
"""Files about what an operator types, deploys and upgrades, but for those above: mostly processes and workflows."""

PART = "PYTEST_PART"
"""Set by the verbs to `rooms`, `commands` or `others`; without it every test runs that is asked for."""

LONG = ("workflows", "worker", "replay", "cli", "runtime")
"""Folders of files that take long each: begun last, one of them would be waited for alone."""

YIELDING = 10
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


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out the files that the other verbs have."""
    wanted = os.environ.get(PART)
    if wanted is None or not collection_path.is_file() or not collection_path.is_relative_to(TESTS):
        return None
    return True if part(collection_path.relative_to(TESTS)) != wanted else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put moving pictures first: what they need of the cores is there from the beginning, and they take longest."""
    order = ("rooms", "system", "")
    items.sort(key=lambda item: (order.index(kind(place(item))), place(item).parts[0] not in LONG))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let the processes that watch moving pictures go first, as long as there are any."""
    if "PYTEST_XDIST_WORKER" in os.environ and not kind(place(item)) and os.nice(0) < YIELDING:
        os.nice(YIELDING)


def place(item: pytest.Item) -> Path:
    """A test's file, seen from the folder of all tests."""
    return item.path.relative_to(TESTS)


def part(path: Path) -> str:
    """Which verb has a file: the one of `rooms` or of `commands`, or `make test` with all `others`."""
    if kind(path) == "rooms":
        return "rooms"
    return "commands" if any(path.match(pattern) for pattern in COMMANDS) else "others"


def kind(path: Path | PurePosixPath) -> str:
    """Which kind of moving pictures a file watches; empty if it watches none."""
    if any(path.match(pattern) for pattern in SYSTEM):
        return "system"
    return "rooms" if any(path.match(pattern) for pattern in ROOMS) else ""
