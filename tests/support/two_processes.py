"""How `make test` spreads the tests over two processes: most of them wait, so that two do not hinder each other.

Tests that watch a picture move stay in one process, one after the other, and come first: two streams at once on two
cores would measure each other. Of all others a file stays together, so that what it starts is started once.
"""

from pathlib import Path, PurePosixPath

import pytest
from xdist.scheduler import LoadScopeScheduling

TESTS = Path(__file__).resolve().parents[1]
MOVING_PICTURES = ("end_to_end", "presence", "cli", "test_compose_services.py")


class Spread(LoadScopeScheduling):
    """A file's tests together, and all moving pictures together (in xdist a group needs what pytest 9.2 dropped)."""

    def _split_scope(self, nodeid: str) -> str:
        path = PurePosixPath(nodeid.split("::", maxsplit=1)[0])
        return "moving pictures" if _moves(path.relative_to(TESTS.name)) else str(path)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Spread:
    """Spread tests in our way wherever there is more than one process."""
    return Spread(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put moving pictures first, of these the shared system last, so that it lives no longer than its tests."""
    paths = {item: item.path.relative_to(TESTS) for item in items}
    items.sort(key=lambda item: (not _moves(paths[item]), paths[item].parts[0] == "end_to_end"))


def _moves(path: Path | PurePosixPath) -> bool:
    return path.parts[0] in MOVING_PICTURES
