"""The bootstrap script and the verbs, as far as they go without a network."""

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-gpu.lock", "scripts/uv.lock")


@pytest.fixture
def bootstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, working on a checkout of its own whose tools only write down that they were called."""
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "scripts" / "bootstrap.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("requirements-dev.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, value in (("ROOT", tmp_path), ("VENV", tmp_path / ".venv"), ("STAMP", tmp_path / ".venv" / "stamp")):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(module, "uv", lambda: "uv")
    module.calls = []  # type: ignore[attr-defined]
    monkeypatch.setattr(module, "run", lambda *command, missing: module.calls.append((*command, missing)))
    return module


def test_second_run_calls_nothing(bootstrap: ModuleType) -> None:
    """An environment made from the same files is left alone."""
    bootstrap.make_environment()
    assert len(bootstrap.calls) == 3
    bootstrap.make_environment()
    assert len(bootstrap.calls) == 3


@pytest.mark.parametrize("changed", ["requirements-dev.lock", "pyproject.toml"])
def test_changed_file_makes_the_environment_anew(bootstrap: ModuleType, changed: str) -> None:
    """A pull that changes the lock file or the project file is followed, and the project installed after the sync."""
    bootstrap.make_environment()
    with (bootstrap.ROOT / changed).open("a") as file:
        file.write("\n# changed\n")
    bootstrap.make_environment()
    verbs = [" ".join(str(word) for word in call[1:3]) for call in bootstrap.calls]
    assert verbs == ["venv --quiet", "pip sync", "pip install"] * 2
    assert "--require-hashes" in bootstrap.calls[1]


def test_interrupted_run_is_not_taken_for_a_finished_one(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a step fails, the next run begins again."""

    def fail(*command: object, missing: str) -> None:
        raise SystemExit(f"greenroom: {missing} ({command[0]})")

    with monkeypatch.context() as patched:
        patched.setattr(bootstrap, "run", fail)
        with pytest.raises(SystemExit, match="cannot be made"):
            bootstrap.make_environment()
    bootstrap.make_environment()
    assert len(bootstrap.calls) == 3


def test_old_python_is_refused_in_one_sentence(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.10 is named and refused."""
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 10, 4))
    with pytest.raises(SystemExit, match=r"Python 3\.11 or later is needed"):
        bootstrap.main()


@pytest.mark.parametrize("name", LOCKS)
def test_lock_file_has_hashes_and_names_no_index(name: str) -> None:
    """Every pinned package carries hashes, and no address stands in the file."""
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert not re.search("index.url", text)
    pins = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE | re.IGNORECASE)[1:]
    assert pins
    assert [pin.splitlines()[0] for pin in pins if "--hash=sha256:" not in pin] == []


@pytest.mark.parametrize(
    ("name", "only"),
    [
        ("requirements.lock", "onnxruntime"),
        ("requirements-dev.lock", "onnxruntime"),
        ("requirements-gpu.lock", "onnxruntime-gpu"),
    ],
)
def test_lock_file_installs_one_onnxruntime(name: str, only: str) -> None:
    """The CPU's and the GPU's own the same folder: of two the last one wins, and nobody knows which that is."""
    assert re.findall(r"^(onnxruntime[a-z-]*)==", (ROOT / name).read_text(), re.MULTILINE) == [only]


def test_make_lists_its_verbs() -> None:
    """`make` alone explains itself and starts nothing."""
    said = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: S607
    assert {"demo", "test", "check"} <= {line.split()[1] for line in said.splitlines()}


def test_make_without_a_python_says_what_is_missing(tmp_path: Path) -> None:
    """No Python that is new enough: one sentence, and failure."""
    ended = subprocess.run(
        ["make", "PYTHON=", "bootstrap"], cwd=ROOT, capture_output=True, text=True, check=False,  # noqa: S607
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
    )  # fmt: skip
    assert ended.returncode != 0
    assert "Python 3.11 or later is needed" in ended.stderr
