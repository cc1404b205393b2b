"""A real LiveKit server on free loopback ports, for tests; skipped where there is none, failed with CI=true."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from livekit import api

from runtime.system import ports
from support.real_parts import missing

VERSION = "v1.13.5"
API_KEY = "testkey"
API_SECRET = "a-secret-of-a-test-server-that-nobody-else-uses"
START_WITHIN_S = 15.0
GIVEN: set[int] = set()
"""Ports that this process has given away."""


def find_binary() -> Path | None:
    """The server's binary: on PATH, else in the per-user cache."""
    found = shutil.which("livekit-server")
    if found:
        return Path(found)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cached = cache / "greenroom" / "livekit-server" / VERSION / "livekit-server"
    return cached if cached.is_file() else None


def free_port() -> int:
    """A loopback port that is free for TCP and UDP, given away once, and that no outgoing connection can take."""
    port = ports.free_port(GIVEN)
    GIVEN.add(port)
    return port


@dataclass
class LiveKitServer:
    """A server that can be killed and started again on the same ports."""

    binary: Path
    port: int = field(default_factory=free_port)
    tcp_port: int = field(default_factory=free_port)
    udp_port: int = field(default_factory=free_port)
    api_key: str = API_KEY
    api_secret: str = API_SECRET
    host: str = "127.0.0.1"
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"ws://{self.host}:{self.port}"

    def start(self) -> None:
        """Start, and wait until it answers."""
        config = (
            f"port: {self.port}\nbind_addresses: [127.0.0.1]\nkeys: {{{self.api_key}: {self.api_secret}}}\n"
            f"rtc: {{tcp_port: {self.tcp_port}, udp_port: {self.udp_port}, node_ip: 127.0.0.1}}\n"
            "logging: {level: error}\n"
        )
        self.process = subprocess.Popen(
            [str(self.binary), "--config-body", config],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_WITHIN_S
        while not self._answers():
            if time.monotonic() > deadline or self.process.poll() is not None:
                self.kill()
                raise RuntimeError("livekit-server did not start")
            time.sleep(0.05)

    def kill(self) -> None:
        """End it at once; SIGTERM would wait for the last participant."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    @contextlib.asynccontextmanager
    async def admin(self) -> AsyncIterator[api.LiveKitAPI]:
        """The room owner's API."""
        client = api.LiveKitAPI(f"http://{self.host}:{self.port}", self.api_key, self.api_secret)
        try:
            yield client
        finally:
            await client.aclose()

    async def identities(self, room: str) -> set[str]:
        """Who is in a room, as the server sees it."""
        async with self.admin() as admin:
            answer = await admin.room.list_participants(api.ListParticipantsRequest(room=room))
            return {participant.identity for participant in answer.participants}

    async def wait_gone(self, room: str, identity: str, *, within_s: float) -> float:
        """Wait until a participant is gone; returns how long that took."""
        started = time.monotonic()
        while identity in await self.identities(room):
            if time.monotonic() - started > within_s:
                raise AssertionError(f"{identity} is still in the room after {within_s} s")
            await asyncio.sleep(0.05)
        return time.monotonic() - started

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=1) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def make_server() -> LiveKitServer:
    """A server that runs; skips the test where there is no binary, unless CI=true."""
    binary = find_binary()
    if binary is None:
        missing("no livekit-server on PATH or in the cache; `make setup` fetches it")
    server = LiveKitServer(binary)
    server.start()
    return server


@pytest.fixture(scope="session")
def livekit_server() -> Iterator[LiveKitServer]:
    """One LiveKit server for the whole run; tests that kill theirs make one of their own with `make_server`."""
    server = make_server()
    yield server
    server.kill()


__all__ = ["LiveKitServer", "find_binary", "free_port", "livekit_server", "make_server"]
