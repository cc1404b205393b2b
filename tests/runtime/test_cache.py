"""The cache folder: where it is, and that it never shows half a file."""

import os
import subprocess
import sys
from pathlib import Path

from runtime.cache import cache_folder, locked, publish, staging

ROOT = Path(__file__).parents[2]


def test_cache_follows_xdg_and_ignores_a_relative_path(tmp_path: Path) -> None:
    """XDG_CACHE_HOME decides where it is absolute; else the home folder."""
    assert cache_folder({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "greenroom"
    assert cache_folder({"XDG_CACHE_HOME": "somewhere"}) == Path.home() / ".cache" / "greenroom"
    assert cache_folder({}) == Path.home() / ".cache" / "greenroom"


def test_staging_leaves_nothing_and_clears_what_a_killed_run_left(tmp_path: Path) -> None:
    """The scratch folder is gone afterwards, and so is one that an interrupted run left."""
    (tmp_path / ".staging-old").mkdir()
    (tmp_path / ".staging-old" / "half").write_text("ha")
    with locked(tmp_path), staging(tmp_path) as scratch:
        (scratch / "file").write_text("all")
        publish(scratch / "file", tmp_path / "deep" / "file", executable=True)
    assert (tmp_path / "deep" / "file").read_text() == "all"
    assert os.access(tmp_path / "deep" / "file", os.X_OK)
    assert sorted(found.name for found in tmp_path.iterdir()) == [".lock", "deep"]


def test_a_second_process_waits_for_the_lock(tmp_path: Path) -> None:
    """Two set-ups take turns: the second gets the folder when the first lets go."""
    source = (
        "import sys, pathlib; from runtime.cache import locked\n"
        "with locked(pathlib.Path(sys.argv[1])): print((pathlib.Path(sys.argv[1]) / 'made').exists())"
    )
    with locked(tmp_path):
        second = subprocess.Popen(
            [sys.executable, "-c", source, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        try:
            second.wait(0.5)
            waited = False
        except subprocess.TimeoutExpired:
            waited = True
        (tmp_path / "made").touch()
    said, _ = second.communicate(timeout=10)
    assert waited
    assert said.strip() == "True"
