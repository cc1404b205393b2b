"""What the fault tests share: the bench with the system on it, and the row that a case leaves in the table."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict

import pytest

from support import pictures
from support.auditor import Auditor
from support.fault_bench import Bench, Case
from support.real_system import RealSystem

Begin = Callable[[str, str], Bench]


@pytest.fixture(scope="session")
async def astronaut(real_system: RealSystem) -> str:
    """The avatar of a photograph, 512x512."""
    return str((await real_system.upload(pictures.astronaut()))["avatar_id"])


@pytest.fixture(scope="session")
async def auditor(real_system: RealSystem) -> AsyncIterator[Auditor]:
    """The auditor of the system that all tests share."""
    async with real_system.livekit.admin() as admin:
        site = real_system.running.site
        yield Auditor(real_system.folder, real_system.running.run, real_system.temporal, admin, port=site.ports.livekit)


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Iterator[Callable[[Case], None]]:
    """Takes the case of this test; it becomes a row of the table, whether it held or not."""
    cases: list[Case] = []
    yield cases.append
    request.node.user_properties.extend(("case", asdict(case)) for case in cases)


@pytest.fixture
def begin(real_system: RealSystem, auditor: Auditor, record: Callable[[Case], None]) -> Begin:
    """Begins a case (what breaks, and when) on the system that all tests share."""

    def begun(what: str, when: str) -> Bench:
        case = Case(what=what, when=when)
        record(case)
        return Bench(real_system, auditor, case)

    return begun
