"""The life line: children end with their parent, however it ends."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.lifeline import VARIABLE, hold_on
from support.processes import gone_within, is_alive

ROOT = Path(__file__).parents[2]
PARENT = """
import os, subprocess, sys
from runtime.lifeline import VARIABLE, new_lifeline
line = new_lifeline()
environ = {**os.environ, VARIABLE: str(line.reading)}
child = subprocess.Popen(sys.argv[1:], env=environ, pass_fds=(line.reading,), stdout=subprocess.PIPE, text=True)
print(child.stdout.readline().strip(), flush=True)
child.wait()
"""
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
print(os.getpid(), flush=True)
time.sleep(60)
"""
POLITE = """
import os, pathlib, signal, sys, time
def leave(*_):
    pathlib.Path(sys.argv[1]).write_text("left cleanly")
    os._exit(0)
signal.signal(signal.SIGTERM, leave)
print(os.getpid(), flush=True)
while True:
    time.sleep(1)
"""


class Family:
    """A parent started by the test and the process below it that reported its pid."""

    def __init__(self, command: list[str]) -> None:
        """Start them and wait for the report."""
        self.parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, *command], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert self.parent.stdout is not None
        self.child = int(self.parent.stdout.readline())

    def close(self) -> None:
        """End whatever is left."""
        for pid in (self.parent.pid, self.child):
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        self.parent.communicate()


@pytest.fixture
def families() -> Iterator[list[Family]]:
    """The families of one test, ended afterwards."""
    started: list[Family] = []
    yield started
    for family in started:
        family.close()


def _module(folder: Path, source: str) -> str:
    (folder / "grown_child.py").write_text(textwrap.dedent(source))
    return "grown_child"


def _held(tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    return [sys.executable, "-m", "runtime.lifeline", _module(tmp_path, source), str(tmp_path / "note")]


def test_child_leaves_cleanly_when_its_parent_is_killed(
    tmp_path: Path, families: list[Family], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After kill -9 of the parent the child gets SIGTERM and has time for its own end."""
    family = Family(_held(tmp_path, POLITE, monkeypatch))
    families.append(family)
    family.parent.kill()
    assert gone_within(family.child, 3)
    assert (tmp_path / "note").read_text() == "left cleanly"


def test_child_that_ignores_the_signal_is_gone_after_its_grace(
    tmp_path: Path, families: list[Family], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child that ignores SIGTERM is ended by the watching thread itself."""
    family = Family(_held(tmp_path, STUBBORN, monkeypatch))
    families.append(family)
    family.parent.kill()
    assert gone_within(family.child, 6)


def test_child_lives_as_long_as_its_parent(
    tmp_path: Path, families: list[Family], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The life line does not end a child whose parent is alive."""
    family = Family(_held(tmp_path, STUBBORN, monkeypatch))
    families.append(family)
    assert not gone_within(family.child, 1)


def test_process_without_a_lifeline_runs_on() -> None:
    """Without the variable nothing is watched."""
    assert hold_on({}) is False


def _launched(*options: str, source: str) -> list[str]:
    return [sys.executable, "-m", "runtime.launcher", *options, "--", sys.executable, "-c", source]


def test_launched_binary_dies_with_the_launchers_parent(families: list[Family]) -> None:
    """A foreign binary that ignores SIGTERM is killed when the process above its launcher is killed."""
    family = Family(_launched("--grace", "0.3", source=STUBBORN))
    families.append(family)
    family.parent.kill()
    assert gone_within(family.child, 3)


@pytest.mark.skipif(sys.platform != "linux", reason="PDEATHSIG is Linux's")
def test_launched_binary_dies_with_its_launcher() -> None:
    """Kill -9 of the launcher itself leaves no binary behind."""
    launcher = subprocess.Popen(_launched(source=STUBBORN), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert launcher.stdout is not None
    binary = int(launcher.stdout.readline())
    launcher.kill()
    launcher.communicate()
    assert gone_within(binary, 2)


def test_launcher_passes_signals_on_and_returns_the_exit_code() -> None:
    """SIGUSR1 reaches the binary, and its exit code is the launcher's."""
    source = "import signal, sys\nsignal.signal(signal.SIGUSR1, lambda *_: sys.exit(7))\nprint(1, flush=True)\nwhile True: signal.pause()"  # noqa: E501
    launcher = subprocess.Popen(_launched(source=source), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert launcher.stdout is not None
    launcher.stdout.readline()
    launcher.send_signal(signal.SIGUSR1)
    launcher.communicate(timeout=20)
    assert launcher.returncode == 7


def test_launcher_names_a_binary_that_cannot_start() -> None:
    """A missing binary is a sentence and exit code 127, not a traceback."""
    command = [sys.executable, "-m", "runtime.launcher", "--", "/nowhere/at-all"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 127
    assert ended.stderr.strip() == "cannot start /nowhere/at-all: No such file or directory"


def test_launched_binary_does_not_see_the_variable() -> None:
    """The number of the life line means nothing to the binary, so it is not told."""
    reading, writing = os.pipe()
    source = f"import os; print(os.environ.get({VARIABLE!r}))"
    ended = subprocess.run(
        _launched(source=source), cwd=ROOT, env={**os.environ, VARIABLE: str(reading)}, pass_fds=(reading,),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    os.close(reading)
    os.close(writing)
    assert ended.stdout.strip() == "None"
