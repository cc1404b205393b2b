"""The import contracts of pyproject.toml bite: each is broken once, in a copy of the tree."""

import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parent.parent
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")
ROOMS: list[str] = SETTINGS["root_packages"]
LAYERS = "The rooms lie in layers"
WORKFLOWS = "Workflows see contracts, domain and Temporal"
API = "The API decodes no picture and enters no room"


@dataclass(frozen=True, kw_only=True)
class Planted:
    """An import that must not be, and the contract that must say so."""

    contract: str
    module: str
    line: str

    @property
    def id(self) -> str:
        """What the test is called."""
        return f"{self.module}: {self.line}".strip()


PLANTED = [
    Planted(contract=LAYERS, module="domain/plans.py", line="import contracts.http"),
    Planted(contract=LAYERS, module="contracts/http.py", line="import adapters.sealing"),
    Planted(contract=LAYERS, module="presence/session.py", line="import database.leases"),
    Planted(contract=LAYERS, module="telemetry/about.py", line="import adapters.sealing"),
    Planted(contract=LAYERS, module="adapters/sealing.py", line="import runtime.settings"),
    Planted(contract=LAYERS, module="activities/plans.py", line="import workflows.deadline"),
    Planted(contract=LAYERS, module="worker/renewal.py", line="import api.auth"),
    Planted(contract=LAYERS, module="runtime/log.py", line="import worker.assembly"),
    Planted(contract=LAYERS, module="api/auth.py", line="import cli.main"),
    Planted(contract="The domain knows no library", module="domain/ids.py", line="import ulid"),
    Planted(contract="The domain knows no library", module="domain/session.py", line="def late():\n    import msgspec"),
    Planted(contract=WORKFLOWS, module="workflows/deadline.py", line="import adapters.sealing"),
    Planted(contract=WORKFLOWS, module="workflows/upload_face.py", line="import runtime.settings"),
    Planted(contract=WORKFLOWS, module="workflows/upload_face.py", line="import sqlalchemy"),
    # Through another module: the workflow itself stays as it is.
    Planted(contract=WORKFLOWS, module="contracts/queues.py", line="import httpx"),
    Planted(contract=API, module="api/routes/sessions.py", line="import activities.plans"),
    Planted(contract=API, module="api/pictures.py", line="import adapters.image_reading"),
    Planted(contract=API, module="api/services.py", line="import presence.processes.protocol"),
    Planted(contract=API, module="adapters/signing.py", line="import adapters.face_framing"),
    Planted(
        contract="Runtime starts processes and opens nothing outside",
        module="runtime/supervisor.py",
        line="import adapters.object_store",
    ),
    Planted(
        contract="The sessions role needs no picture and no room", module="activities/avatars.py", line="import numpy"
    ),
    Planted(
        contract="The faces role needs no database and no room",
        module="activities/images.py",
        line="import database.avatars",
    ),
    Planted(contract="Contracts count and trace nothing", module="contracts/queues.py", line="import telemetry.about"),
    Planted(
        contract="A media process reports to its parent, which counts and traces",
        module="presence/session.py",
        line="import telemetry.metrics",
    ),
    Planted(
        contract="The avatar server leaves media to its children",
        module="activities/rooms.py",
        line="import presence.session",
    ),
    Planted(
        contract="The avatar server leaves media to its children",
        module="presence/processes/seats.py",
        line="import livekit.rtc",
    ),
]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the rooms and of their contracts."""
    copy = tmp_path_factory.mktemp("walls")
    for room in ROOMS:
        shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


def broken(tree: Path) -> tuple[int, set[str]]:
    """What lint-imports says of a tree: its exit status, and the contracts that are broken."""
    done = subprocess.run(
        [LINT_IMPORTS, "--no-cache", "--no-logo"], cwd=tree, capture_output=True, text=True, check=False
    )
    names = {contract["name"] for contract in SETTINGS["contracts"]}
    found = {name for name in names if f"{name} BROKEN" in done.stdout}
    assert all(f"{name} KEPT" in done.stdout for name in names - found), done.stdout + done.stderr
    return done.returncode, found


def test_the_tree_as_it_is_keeps_every_contract(tree: Path) -> None:
    """Without a planted import nothing is broken."""
    assert broken(tree) == (0, set())


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.id)
def test_a_planted_import_breaks_its_contract(tree: Path, planted: Planted) -> None:
    """The linter fails and names the contract, also where the import is indirect or hidden in a function."""
    file = tree / planted.module
    before = file.read_text()
    file.write_text(f"{before}\n\n{planted.line}\n")
    try:
        status, found = broken(tree)
    finally:
        file.write_text(before)
    assert status != 0
    assert planted.contract in found


def test_every_contract_is_broken_once() -> None:
    """A contract that nobody tries to break may be one that cannot break."""
    assert {planted.contract for planted in PLANTED} == {contract["name"] for contract in SETTINGS["contracts"]}


def test_the_lists_of_libraries_are_complete() -> None:
    """A library that some room has taken up stands in the lists of those that must not have it."""
    graph = grimp.build_graph(*ROOMS, include_external_packages=True, cache_dir=None)
    roots = {module.split(".")[0] for module in graph.modules}
    libraries = roots - set(ROOMS) - set(sys.stdlib_module_names)
    forbidden = {contract["name"]: set(contract.get("forbidden_modules", ())) for contract in SETTINGS["contracts"]}
    assert libraries - forbidden["The domain knows no library"] == set()
    assert libraries - forbidden[WORKFLOWS] == {"msgspec", "temporalio"}


def test_the_list_of_picture_adapters_is_complete() -> None:
    """A new adapter that reads pictures or finds faces is closed to the API."""
    (closed,) = (set(c["forbidden_modules"]) for c in SETTINGS["contracts"] if c["name"] == API)
    paths = [
        path
        for kind in ("image_*", "face_*", "detector_*", "photo_*", "pinned_*")
        for path in (ROOT / "adapters").glob(f"{kind}.py")
    ]
    assert paths
    assert {f"adapters.{path.stem}" for path in paths} <= closed
