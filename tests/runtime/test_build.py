"""The version of a worker: the same source has the same, and what a workflow's steps can hang on makes another."""

import re
import shutil
from pathlib import Path

import pytest

from runtime.build import ROOMS, ROOT, source_build_id, worker_version
from runtime.settings import Settings


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the rooms that count, as an image has them elsewhere."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_a_copy_elsewhere_is_the_same_version(checkout: Path) -> None:
    """Neither paths, times, compiled files nor line endings count: an image and a checkout of the same code agree."""
    cached = checkout / "workflows" / "__pycache__" / "deadline.pyc"
    cached.parent.mkdir()
    cached.write_bytes(b"x")
    ids = checkout / "domain" / "ids.py"
    ids.write_bytes(ids.read_bytes().replace(b"\n", b"\r\n"))
    assert source_build_id(checkout) == source_build_id()
    assert re.fullmatch("[0-9a-f]{12}", source_build_id())


@pytest.mark.parametrize("room", ROOMS)
def test_another_source_is_another_version(checkout: Path, room: str) -> None:
    """A rule of the domain, a wire type and a step's place can each change the order of commands; a new file too."""
    (checkout / room / "new.py").write_text("ANSWER = 42\n")
    added = source_build_id(checkout)
    (checkout / room / "new.py").write_text("ANSWER = 43\n")
    source_build_id.cache_clear()
    assert len({added, source_build_id(checkout), source_build_id()}) == 3


def test_a_setting_names_the_version() -> None:
    """A release's own tag, where an operator wants to read it; else the digest."""
    version = worker_version(Settings(deployment="stage", build_id="v1.2.3"))
    assert (version.deployment_name, version.build_id) == ("stage", "v1.2.3")
    assert worker_version(Settings()).build_id == source_build_id()
