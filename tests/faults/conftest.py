"""What the fault tests share: the bench with the system on it, on each kind of database, and the row of a case.

A test runs on SQLite; the mark `databases` names the kinds for a test, a module or one of its parameters.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import asdict

import pytest

from support import pictures
from support.auditor import Auditor
from support.fault_bench import Bench, Case
from support.fault_database import POSTGRESQL, SQLITE, FaultDatabase, SQLiteDatabase, postgresql_database
from support.postgresql_server import running_postgresql
from support.real_system import RealSystem, running_real_system

Begin = Callable[[str, str], Bench]

KINDS = (SQLITE, POSTGRESQL)
MARK = "databases"


def pytest_configure(config: pytest.Config) -> None:
    """The mark is known."""
    config.addinivalue_line("markers", f"{MARK}(*kinds): the databases that a fault test runs on")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test of the shared system could run on each kind; all of one kind come together."""
    if "fault_database" in metafunc.fixturenames:
        metafunc.parametrize("fault_database", KINDS, indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the kinds that nobody asked for."""
    unwanted = [item for item in items if not _is_wanted(item)]
    config.hook.pytest_deselected(items=unwanted)
    items[:] = [item for item in items if item not in unwanted]


def _is_wanted(item: pytest.Item) -> bool:
    kind = (
        item.callspec.params.get("fault_database")
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
        else None
    )
    mark = item.get_closest_marker(MARK)
    return kind is None or kind in (mark.args if mark else (SQLITE,))


@pytest.fixture(scope="session")
async def fault_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[FaultDatabase]:
    """The database of the system that all tests of its kind share; nobody has used it yet."""
    async with AsyncExitStack() as stack:
        if request.param == SQLITE:
            yield SQLiteDatabase(tmp_path_factory.mktemp("faults"))
        else:
            server = stack.enter_context(running_postgresql())
            yield await stack.enter_async_context(postgresql_database(server))


@pytest.fixture(scope="session")
async def real_system(
    fault_database: FaultDatabase, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RealSystem]:
    """One system for all tests of a kind of database; it leaves no process behind."""
    is_file = isinstance(fault_database, SQLiteDatabase)
    folder = fault_database.file.parent if is_file else tmp_path_factory.mktemp("faults")
    settings = {} if is_file else {"database_url": fault_database.url}
    async with running_real_system(folder, **settings) as system:
        yield system


@pytest.fixture(scope="session")
async def astronaut(real_system: RealSystem) -> str:
    """The avatar of a photograph, 512x512."""
    return str((await real_system.upload(pictures.astronaut()))["avatar_id"])


@pytest.fixture(scope="session")
async def auditor(real_system: RealSystem, fault_database: FaultDatabase) -> AsyncIterator[Auditor]:
    """The auditor of the system that all tests share."""
    async with real_system.livekit.admin() as admin:
        running = real_system.running
        port = running.site.ports.livekit
        yield Auditor(real_system.folder, fault_database, running.run, real_system.temporal, admin, port=port)


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Iterator[Callable[[Case], None]]:
    """Takes the case of this test; it becomes a row of the table, whether it held or not; of several tries the last."""
    cases: dict[tuple[str, str], Case] = {}

    def take(case: Case) -> None:
        before = cases.get((case.what, case.when))
        case.tries = before.tries + 1 if before else 1
        cases[case.what, case.when] = case

    yield take
    request.node.user_properties.extend(("case", asdict(case)) for case in cases.values())


@pytest.fixture
def begin(
    real_system: RealSystem, fault_database: FaultDatabase, auditor: Auditor, record: Callable[[Case], None]
) -> Begin:
    """Begins a case (what breaks, and when) on the system that all tests share."""

    def begun(what: str, when: str) -> Bench:
        case = Case(what=what, when=when, database=fault_database.kind)
        record(case)
        return Bench(real_system, fault_database, auditor, case)

    return begun
