"""What import-linter cannot say: libraries per room, clocks that no sandbox sees, rooms against packaging."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = (
    "domain", "telemetry", "contracts", "workflows", "activities", "adapters", "presence", "database", "runtime", "api",
    "worker", "cli",
)  # fmt: skip
IMPURE = {"os", "random", "secrets", "time", "socket", "subprocess", "asyncio", "threading", "uuid"}
LIBRARIES: dict[str, set[str]] = {
    "domain": set(),
    "telemetry": {"opentelemetry", "prometheus_client"},
    "contracts": {"msgspec", "temporalio"},
    "workflows": {"temporalio"},
    "activities": {"temporalio"},
    "adapters": {
        "PIL",
        "aiohttp",
        "botocore",
        "cryptography",
        "cv2",
        "fsspec",
        "insightface",
        "livekit",  # its API alone: rooms and tokens
        "numpy",
        "onnx",
        "onnxruntime",
        "redis",
        "s3fs",
        "standardwebhooks",
        "yarl",
    },
    "presence": {"PIL", "aiohttp", "cv2", "daily", "livekit", "msgspec", "numpy", "onnxruntime"},
    "database": {"aiosqlite", "alembic", "sqlalchemy"},
    "runtime": {"cryptography", "httpx", "msgspec", "prometheus_client", "rich", "temporalio"},
    "api": {"litestar", "msgspec", "temporalio", "ulid", "uvicorn", "wsproto"},
    "worker": {"msgspec", "temporalio", "ulid"},
    "cli": {"PIL", "av", "click", "google", "httpx", "livekit", "numpy", "rich", "sqlalchemy", "temporalio", "ulid"},
}
"""The third-party packages that a room may use. A new one is a decision: it is made here."""
CLOCKS = {"now", "today", "utcnow", "uuid4", "uuid1"}
FILES = [(room, path) for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def imported(tree: ast.AST) -> Iterator[str]:
    """The root of every import, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize(("room", "path"), FILES, ids=lambda value: str(getattr(value, "name", value)))
def test_a_room_uses_only_its_libraries(room: str, path: Path) -> None:
    """Rooms are import-linter's business; here are the libraries, and for the pure rooms the standard ones too."""
    allowed = set(ROOMS) | LIBRARIES[room] | set(sys.stdlib_module_names)
    if room == "domain":
        allowed -= IMPURE
    assert set(imported(ast.parse(path.read_text()))) <= allowed


PASSED_THROUGH = [path for room, path in FILES if room in ("domain", "contracts")]


@pytest.mark.parametrize("path", PASSED_THROUGH, ids=lambda path: path.name)
def test_what_passes_the_sandbox_reads_no_clock(path: Path) -> None:
    """The sandbox does not look into domain and contracts, so nothing there may read a clock or roll dice."""
    calls = {
        node.func.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert not calls & CLOCKS


def test_the_rooms_are_the_same_everywhere() -> None:
    """Folders, wheel, type checker and import-linter agree on which rooms there are."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert folders == set(ROOMS)
    assert set(settings["uv"]["build-backend"]["module-name"]) == folders
    assert set(settings["mypy"]["packages"]) == folders
    assert set(settings["importlinter"]["root_packages"]) == folders
