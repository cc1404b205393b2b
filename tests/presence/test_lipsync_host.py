"""The lip-sync host as a process: shared by other processes, alone at its address, and gone in time."""

import ast
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from presence.renderers.lipsync import wire
from presence.renderers.lipsync.address import REFUSED, address_of
from presence.renderers.lipsync.launching import MODULE
from support.lipsync_hosts import HostBench, end, host_bench

CLIENT = """
import sys, time
from pathlib import Path
import numpy as np
from presence.renderers.lipsync import wire
from presence.renderers.lipsync.seat import Seat
face = np.full(wire.FACE, float(sys.argv[2]), np.float32)
seat = Seat(Path(sys.argv[1]), face, lambda: None)
assert seat.reach(time.monotonic() + 10)
print("here", flush=True)
sys.stdin.readline()
together, until = 0, time.monotonic() + 20
while together < 10 and time.monotonic() < until:
    seat.ask(np.full(wire.MEL, -4, np.float32), until)
    assert np.array_equal(seat.answer(until), face[3:])
    together += seat.together == 2
print(together, flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def bench() -> Iterator[HostBench]:
    """A folder with a model."""
    with host_bench() as bench:
        yield bench


@contextlib.contextmanager
def client(bench: HostBench, colour: float) -> Iterator["subprocess.Popen[str]"]:
    """A process with a seat, killed in the end: it reads a line, then asks until ten answers came to two at once."""
    command = [sys.executable, "-c", CLIENT, str(bench.address.socket), str(colour)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_line(process: "subprocess.Popen[str]") -> str:
    """What it says next."""
    assert process.stdout is not None
    return process.stdout.readline()


def test_two_processes_are_served_together_and_the_host_ends_after_them(bench: HostBench) -> None:
    """Each gets its own face back, though batches hold both, and a killed client is no hindrance to the end."""
    with bench.host(idle_s=0.3) as host:
        guest = socket.socket(socket.AF_UNIX)  # so that the host waits for the clients
        guest.connect(str(bench.address.socket))
        with client(bench, 0.25) as one, client(bench, 0.75) as two:
            assert [read_line(process) for process in (one, two)] == ["here\n", "here\n"]
            guest.close()
            for process in (one, two):
                assert process.stdin is not None
                process.stdin.write("go\n")
                process.stdin.flush()
            assert [read_line(process) for process in (one, two)] == ["10\n", "10\n"]
            assert host.poll() is None
        assert host.wait(timeout=20) == 0
    assert not bench.address.socket.exists()
    said = bench.address.log.read_text()
    sizes: dict[int, int] = ast.literal_eval(said.rpartition("by size: ")[2].strip())
    assert sizes[2] == 10
    assert set(sizes) <= {1, 2}


def test_a_second_host_of_a_model_leaves_at_once(bench: HostBench) -> None:
    """Whoever comes second finds the address held, ends without a word and touches nothing."""
    command = [sys.executable, "-m", MODULE, str(bench.address.model), "--folder", str(bench.address.folder)]
    with bench.host() as host:
        second = subprocess.run(command, capture_output=True, timeout=20, check=False)
        assert (second.returncode, second.stdout + second.stderr) == (0, b"")
        assert bench.address.socket.exists()
        assert end(host) == 0
    assert not bench.address.socket.exists()


@pytest.mark.parametrize("words", [b"!", b"??"], ids=["no question", "two at once"])
def test_a_client_that_talks_nonsense_is_shown_out(bench: HostBench, words: bytes) -> None:
    """It loses its seat, and could not have shortened the memory under the host; the host goes on."""
    with bench.host() as host, socket.socket(socket.AF_UNIX) as guest:
        guest.settimeout(5)
        guest.connect(str(bench.address.socket))
        word, descriptors, _, _ = socket.recv_fds(guest, 100, 1)
        assert word == wire.HELLO
        with pytest.raises(PermissionError):
            os.ftruncate(descriptors[0], 0)
        os.close(descriptors[0])
        guest.send(words)
        assert guest.recv(10) == b""
        assert host.poll() is None


def test_check_says_whether_a_model_fits(bench: HostBench) -> None:
    """An operator can try a file: 0 and the device it runs on, or 3 and a sentence."""
    outcomes = []
    for model in (bench.address.model, bench.address.folder / "none.onnx"):
        command = [sys.executable, "-m", MODULE, str(model), "--check", "--device", "cpu"]
        done = subprocess.run(command, capture_output=True, timeout=20, check=False, text=True)
        outcomes.append((done.returncode, done.stderr))
    assert outcomes[0][0] == 0
    assert "darker.onnx fits, on CPUExecutionProvider" in outcomes[0][1]
    assert outcomes[1][0] == REFUSED
    assert "is not a file" in outcomes[1][1]


def test_it_dies_with_its_parent_under_a_lifeline(bench: HostBench) -> None:
    """Started by an avatar server through `runtime.lifeline`, it ends when the server's pipe does."""
    reading, writing = os.pipe()
    arguments = [str(bench.address.model), "--folder", str(bench.address.folder), "--idle", "0"]
    command = ["-m", "runtime.lifeline", MODULE, *arguments]
    host = subprocess.Popen(
        [sys.executable, *command],
        pass_fds=[reading],
        env={**os.environ, "GREENROOM_LIFELINE_FD": str(reading)},
        stderr=subprocess.DEVNULL,
    )
    os.close(reading)
    bench.wait_ready()
    os.close(writing)
    assert host.wait(timeout=10) == 0
    assert not bench.address.socket.exists()


def test_a_folder_that_others_can_enter_is_refused(tmp_path: Path) -> None:
    """So is a path that is too long for a socket; a missing folder is made, for this user alone."""
    model = tmp_path / "m.onnx"
    with pytest.raises(ValueError, match="too long"):
        address_of(model, folder=tmp_path / ("x" * 100))
    with host_bench() as bench:
        inner = bench.address.folder / "inner"
        assert address_of(model, folder=inner).folder == inner
        assert inner.stat().st_mode & 0o777 == 0o700
        inner.chmod(0o755)
        with pytest.raises(ValueError, match="only this user"):
            address_of(model, folder=inner)
        same = [address_of(model, device, bench.address.folder).socket for device in ("cpu", "auto", "cpu")]
        assert same[0] == same[2] != same[1]


def test_memory_is_shared_and_has_no_name() -> None:
    """Both sides of a frame see the same numbers."""
    descriptor = wire.new_memory()
    one, two = wire.SharedFrame(descriptor), wire.SharedFrame(descriptor)
    os.close(descriptor)
    one.mel[3, 4], one.mouth[2, 95, 95] = 1.5, 0.25
    assert (two.mel[3, 4], two.mouth[2, 95, 95], np.abs(two.face).sum()) == (1.5, 0.25, 0)
