"""The whole system under its supervisor: real Temporal and LiveKit, stand-ins for API and workers."""

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runtime.cache import cache_folder
from runtime.external.livekit_server import find_livekit_server
from runtime.supervision.readiness import AnswersAt
from runtime.supervisor import RUN
from runtime.system.memory import DataFolderBusyError, Memory, load_memory, sole_use
from runtime.system.plan import STOP_ORDER
from runtime.system.running import RunningSystem, running_system
from support.processes import environ_of, gone_within, is_alive, left_after, listening_addresses, marked
from support.systems import stand_in_options

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def _livekit_is_there() -> None:
    if not find_livekit_server(cache_folder(os.environ), os.environ):
        assert os.environ.get("CI") != "true", "no LiveKit server: run `greenroom setup`"
        pytest.skip("no LiveKit server: run `greenroom setup`")


class Run:
    """A system in a process of its own."""

    def __init__(self, folder: Path) -> None:
        """Start it and wait until it is ready."""
        paths = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
        self.supervisor = subprocess.Popen(
            [sys.executable, "-m", "support.systems", str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": paths},
        )  # fmt: skip
        assert self.supervisor.stdout is not None
        line = self.supervisor.stdout.readline()
        assert line, "the system did not start"
        self.state: dict[str, Any] = json.loads(line)
        self.mark = self.state[RUN]

    def end(self, number: signal.Signals) -> int:
        """Signal the supervisor and wait for its end."""
        self.supervisor.send_signal(number)
        self.supervisor.communicate(timeout=40)
        return self.supervisor.returncode


@pytest.fixture
def runs() -> Iterator[list[Run]]:
    """The runs of one test; what is still there afterwards is killed by number."""
    started: list[Run] = []
    yield started
    for run in started:
        run.supervisor.kill()
        run.supervisor.communicate()
        for process in marked(run.mark):
            os.kill(process.pid, signal.SIGKILL)


def test_nothing_is_left_after_the_supervisor_is_killed(tmp_path: Path, runs: list[Run]) -> None:
    """Kill -9 of the supervisor ends all parts, Temporal, LiveKit and grandchildren; the next run has all it had."""
    first = Run(tmp_path)
    runs.append(first)
    binaries = " ".join(process.command for process in marked(first.mark))
    assert "temporal server start-dev" in binaries
    assert "livekit-server" in binaries
    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    assert left_after(first.mark, 6) == []
    second = Run(tmp_path)
    runs.append(second)
    assert {k: second.state[k] for k in ("api_key", "api_url", "temporal")} == {
        k: first.state[k] for k in ("api_key", "api_url", "temporal")
    }
    assert second.end(signal.SIGTERM) == 0
    assert left_after(second.mark, 1) == []
    assert (tmp_path / "ends").read_text().splitlines()[-4:] == ["avatar", "faces", "sessions", "api"]


def test_restart_right_after_a_kill_waits_for_the_old_processes(tmp_path: Path, runs: list[Run]) -> None:
    """A run that follows a kill -9 at once starts all the same: it waits until ports and database are let go."""
    first = Run(tmp_path)
    runs.append(first)
    first.end(signal.SIGKILL)
    second = Run(tmp_path)
    runs.append(second)
    assert marked(first.mark) == []
    assert second.state["api_url"] == first.state["api_url"]


@dataclass(frozen=True, kw_only=True)
class Observed:
    """A running system and what it announced."""

    system: RunningSystem
    said: list[tuple[str, str]]


@pytest.fixture(scope="module")
async def observed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Observed]:
    """One system for the tests that leave it as it was; it must leave no process."""
    said: list[tuple[str, str]] = []
    options = stand_in_options(tmp_path_factory.mktemp("system"), dict(os.environ), said)
    async with running_system(options) as system:
        yield Observed(system=system, said=said)
    assert left_after(system.run, 1) == []


async def test_parts_come_back_on_their_ports(observed: Observed) -> None:
    """Each part killed alone comes back where it was, which is announced; the others stay."""
    system = observed.system
    avatar = system.pid("avatar")
    for part in ("temporal", "livekit", "api"):
        before = system.kill(part)
        await asyncio.wait_for(system.wait_ready(part), 20)
        assert gone_within(before, 1)
    assert system.pid("avatar") == avatar
    assert await AnswersAt(url=system.api_url).seen(lambda _: False)
    assert [part for part, text in observed.said if "was ended" in text] == ["temporal", "livekit", "api"]


async def test_second_run_on_the_folder_is_refused(observed: Observed) -> None:
    """Two supervisors never share a data folder, not even in one process."""
    options = stand_in_options(observed.system.data_dir, dict(os.environ), [])
    with pytest.raises(DataFolderBusyError, match=f"in use by process {os.getpid()}"):
        async with running_system(options):
            pass


async def test_secrets_reach_only_those_who_need_them(observed: Observed) -> None:
    """The sealing key is API's and avatar worker's; the sessions worker has two others; none is an argument."""
    memory = observed.system.site.memory
    pids = {part: observed.system.pid(part) for part in STOP_ORDER}
    holders = {part for part, pid in pids.items() if pid and memory.sealing_keys in environ_of(pid)}
    makers = {part for part, pid in pids.items() if pid and memory.livekit_api_secret in environ_of(pid)}
    commands = " ".join(process.command for process in marked(observed.system.run))
    signers = {part for part, pid in pids.items() if pid and memory.webhook_keys in environ_of(pid)}
    assert (holders, makers - {"livekit"}, signers) == ({"api", "avatar"}, {"api", "sessions"}, {"sessions"})
    assert all(secret not in commands for secret in (memory.livekit_api_secret, memory.server_keys, memory.api_key))


async def test_nothing_listens_beyond_loopback(observed: Observed) -> None:
    """No listening TCP socket of the run is bound to another address than 127.0.0.1."""
    listening = listening_addresses(observed.system.run)
    assert len(listening) >= 6
    assert set(listening) == {"0100007F"}  # 127.0.0.1, as the kernel writes it


def test_memory_is_made_once_and_is_the_owners_alone(tmp_path: Path) -> None:
    """Keys are made on the first look, kept afterwards, and readable by nobody else."""
    first = load_memory(tmp_path)
    assert load_memory(tmp_path) == first
    assert stat.S_IMODE((tmp_path / "dev.json").stat().st_mode) == 0o600
    assert isinstance(first, Memory)
    (tmp_path / "other").mkdir()
    assert load_memory(tmp_path / "other").api_key != first.api_key


def test_memory_of_an_earlier_version_gets_what_it_lacks(tmp_path: Path) -> None:
    """A key that was not there then is made once; the others stay."""
    first = load_memory(tmp_path)
    older = json.loads((tmp_path / "dev.json").read_text())
    del older["webhook_keys"]
    (tmp_path / "dev.json").write_text(json.dumps(older))
    second = load_memory(tmp_path)
    assert load_memory(tmp_path) == second
    assert second.webhook_keys not in ("", first.webhook_keys)
    assert second.api_key == first.api_key


def test_lock_is_held_as_long_as_a_child_lives(tmp_path: Path) -> None:
    """What a killed run left keeps the folder until it has ended."""
    source = (
        "import os, pathlib, subprocess, sys, time\nfrom runtime.system.memory import sole_use\n"
        "with sole_use(pathlib.Path(sys.argv[1])) as lock:\n"
        "    child = subprocess.Popen(['sleep', '1.5'], pass_fds=(lock,), stdout=subprocess.DEVNULL)\n"
        "    print(child.pid, flush=True)\n    time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", source, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    assert is_alive(child)
    with sole_use(tmp_path):
        assert not is_alive(child)
