"""A lip-sync host of a test's own: its folder has a short name, as sockets want it, and nothing of it stays."""

import contextlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from presence.renderers.lipsync.address import HostAddress, address_of
from presence.renderers.lipsync.launching import MODULE
from support.lipsync_models import save_lipsync_model

STARTS_WITHIN_S = 30.0


@dataclass(frozen=True, kw_only=True)
class HostBench:
    """A folder and a model in it."""

    address: HostAddress

    def start(self, *, idle_s: float = 10.0) -> "subprocess.Popen[bytes]":
        """A host that listens."""
        command = (sys.executable, "-m", MODULE, str(self.address.model), "--folder", str(self.address.folder))
        with self.address.log.open("ab") as output:
            process = subprocess.Popen((*command, "--idle", str(idle_s)), stdout=output, stderr=output)
        try:
            self.wait_ready()
        except TimeoutError:
            end(process, signal.SIGKILL)
            raise
        return process

    @contextlib.contextmanager
    def host(self, *, idle_s: float = 10.0) -> "Iterator[subprocess.Popen[bytes]]":
        """A host that listens, and is ended if it has not ended by itself."""
        process = self.start(idle_s=idle_s)
        try:
            yield process
        finally:
            end(process)

    def wait_ready(self) -> None:
        """Wait until something listens."""
        wait_until(self.address.socket.exists)


@contextlib.contextmanager
def host_bench() -> Iterator[HostBench]:
    """A bench without a host."""
    with tempfile.TemporaryDirectory(prefix="lips-", dir="/tmp") as folder:
        model = save_lipsync_model(Path(folder) / "darker.onnx")
        yield HostBench(address=address_of(model, "auto", Path(folder)))


def end(process: "subprocess.Popen[bytes]", sig: signal.Signals = signal.SIGTERM) -> int:
    """Signal a host of the test's own and wait for its end; its exit code."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(sig)
    return process.wait(timeout=10)


def wait_until(condition: Callable[[], object], within_s: float = STARTS_WITHIN_S) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.01)
