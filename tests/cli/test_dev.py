"""`greenroom dev` as an operator sees it: real Temporal and LiveKit, stand-ins for API and workers."""

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.cache import cache_folder
from runtime.external.livekit_server import find_livekit_server
from runtime.system.memory import load_memory
from support.processes import left_after, mark_of, marked

ROOT = Path(__file__).parents[2]
DEV = """
import dataclasses, cli.dev
real = cli.dev.system_options
cli.dev.find_parts_aloud = lambda environ: []
cli.dev.system_options = lambda *a, **k: dataclasses.replace(real(*a, **k), program="support.stand_in_part")
cli.dev.dev_command(prog_name="dev")
"""


class Dev:
    """A `greenroom dev` in a session of its own, as a terminal gives it one."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        """Start it on free ports."""
        paths = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
        self.process = subprocess.Popen(
            [sys.executable, "-c", DEV, "--data-dir", str(folder), "--ports", "free", *arguments], cwd=ROOT,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
            env={**os.environ, "PYTHONPATH": paths},
        )  # fmt: skip

    def wait_ready(self) -> str:
        """The table, and the run's mark for later."""
        table = ""
        assert self.process.stdout is not None
        while "Logs" not in table:
            line = self.process.stdout.readline()
            assert line, self.process.communicate()[1]
            table += line
        self.mark = mark_of(self.process.pid)
        return table


@pytest.fixture
def devs() -> Iterator[list[Dev]]:
    """What one test started; ended afterwards by number."""
    if not find_livekit_server(cache_folder(os.environ), os.environ):
        assert os.environ.get("CI") != "true", "no LiveKit server: run `greenroom setup`"
        pytest.skip("no LiveKit server: run `greenroom setup`")
    started: list[Dev] = []
    yield started
    for dev in started:
        dev.process.kill()
        dev.process.communicate()


def test_dev_prints_where_everything_is_and_stops_on_ctrl_c(tmp_path: Path, devs: list[Dev]) -> None:
    """The table names addresses and a key that opens the local account; Ctrl-C ends all in order with code 0."""
    dev = Dev(tmp_path)
    devs.append(dev)
    table = dev.wait_ready()
    key = load_memory(tmp_path).api_key
    assert key in table
    for name in ("API", "/schema/openapi.json", "Temporal UI", "LiveKit"):
        assert name in table
    stored = sqlite3.connect(tmp_path / "greenroom.db")
    rows = stored.execute("SELECT account_id FROM api_keys WHERE key_hash = ?", (_sha256(key),)).fetchall()
    stored.close()
    assert rows == [("local",)]
    os.killpg(dev.process.pid, signal.SIGINT)  # as a terminal does: to the whole group
    dev.process.communicate(timeout=40)
    assert dev.process.returncode == 0
    assert (tmp_path / "ends").read_text().split() == ["avatar", "faces", "sessions", "api"]
    assert left_after(dev.mark, 1) == []


def test_second_dev_on_the_folder_is_refused_in_one_sentence(tmp_path: Path, devs: list[Dev]) -> None:
    """Two systems never share a data folder; a kill -9 of the first leaves nothing and frees the folder."""
    first = Dev(tmp_path)
    devs.append(first)
    first.wait_ready()
    second = Dev(tmp_path)
    devs.append(second)
    _, said = second.process.communicate(timeout=20)
    assert second.process.returncode == 1
    assert said.strip() == f"Error: {tmp_path} is in use by process {first.process.pid}"
    first.process.kill()
    assert left_after(first.mark, 6) == []


def test_signal_while_starting_leaves_nothing(tmp_path: Path, devs: list[Dev]) -> None:
    """SIGTERM before anything is ready stops what has been started."""
    dev = Dev(tmp_path)
    devs.append(dev)
    log = tmp_path / "logs" / "temporal.log"
    while not (log.exists() and "started as process" in log.read_text()):
        assert dev.process.poll() is None
    mark = mark_of(dev.process.pid)
    dev.process.terminate()
    _, said = dev.process.communicate(timeout=40)
    assert dev.process.returncode == 0, said
    assert marked(mark) == []


def test_unknown_setting_is_named(tmp_path: Path, devs: list[Dev], monkeypatch: pytest.MonkeyPatch) -> None:
    """A typing error in the operator's environment is one sentence, before anything runs."""
    monkeypatch.setenv("GREENROOM_VIDEO_FSP", "25")
    dev = Dev(tmp_path)
    devs.append(dev)
    _, said = dev.process.communicate(timeout=20)
    assert dev.process.returncode == 1
    assert said.strip() == "Error: unknown settings: GREENROOM_VIDEO_FSP"


def test_busy_port_that_was_asked_for_is_named(tmp_path: Path, devs: list[Dev]) -> None:
    """A port given on the command line is taken or refused, never replaced."""
    first = Dev(tmp_path / "a")
    devs.append(first)
    first.wait_ready()
    port = load_memory(tmp_path / "a").ports["api"]
    second = Dev(tmp_path / "b", "--api-port", str(port))
    devs.append(second)
    _, said = second.process.communicate(timeout=20)
    assert said.strip() == f"Error: port {port}, asked for as api-port, is in use"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
