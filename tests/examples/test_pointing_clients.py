"""The start-up shim that points the two public clients here, on stand-ins that keep their addresses as those do."""

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.docs_commands import block_with

SHIM = Path(__file__).parents[2] / "examples" / "point_clients_here"

CLIENTS = {
    # A class attribute, read by each call (contract 9).
    "pipecat/services/agenthuman/api.py": """
import urllib.request
class AgentHumanApi:
    BASE_URL = "https://api.hosted.invalid/v1"
    def __init__(self, key): self.key = key
    def create(self):
        request = urllib.request.Request(f"{self.BASE_URL}/sessions", b"{}", {"x-api-key": self.key})
        return urllib.request.urlopen(request, timeout=5).read().decode()
""",
    # An attribute that each object is given when it is made (contract 8).
    "livekit/plugins/agenthuman/api.py": """
import urllib.request
class AgentHumanAPI:
    def __init__(self, api_key, *, session=None):
        self._api_key, self._api_url = api_key, "https://api.hosted.invalid/v1"
    def create(self):
        request = urllib.request.Request(f"{self._api_url}/sessions", b"{}", {"x-api-key": self._api_key})
        return urllib.request.urlopen(request, timeout=5).read().decode()
""",
    "livekit/plugins/agenthuman/__init__.py": "from .api import AgentHumanAPI\n",
}
USE = """
from pipecat.services.agenthuman.api import AgentHumanApi
from livekit.plugins.agenthuman import AgentHumanAPI
for client in (AgentHumanApi("one"), AgentHumanAPI("two"), AgentHumanAPI("three", session=None)):
    print(client.create())
"""
WHERE = """
from pipecat.services.agenthuman.api import AgentHumanApi
from livekit.plugins.agenthuman import AgentHumanAPI
import json
print(AgentHumanApi.BASE_URL, AgentHumanAPI("k")._api_url)
"""


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both stand-ins."""
    folder = tmp_path_factory.mktemp("clients")
    for name, source in CLIENTS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return folder


@pytest.fixture
def server() -> Iterator[str]:
    """A server that says which request it got, by whose key."""

    class Answering(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            said = f"{self.path} {self.headers['x-api-key']}".encode()
            self.send_response(201)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_address[1]}/v1"
        listening.shutdown()


def run(code: str, clients: Path, base_url: str = "", *, shim: bool = True) -> str:
    """What a fresh interpreter prints that finds the stand-ins, and the shim."""
    paths = os.pathsep.join(str(path) for path in ([SHIM] if shim else []) + [clients])
    environ = {**os.environ, "PYTHONPATH": paths} | ({"AGENTHUMAN_BASE_URL": base_url} if base_url else {})
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False, timeout=60, cwd=clients
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_both_clients_ask_the_server_that_the_variable_names(clients: Path, server: str) -> None:
    """With their own keys, on their own path; a slash at the end of the address does no harm."""
    assert run(USE, clients, f"{server}/").split("\n")[:3] == [f"/v1/sessions {key}" for key in ("one", "two", "three")]


@pytest.mark.parametrize("shim", [True, False])
def test_without_the_variable_nothing_is_changed(clients: Path, shim: bool) -> None:
    """The clients ask whom they always ask."""
    hosted = "https://api.hosted.invalid/v1"
    assert run(WHERE, clients, shim=shim).split() == [hosted, hosted]


def test_the_documented_lines_do_the_same(clients: Path, server: str) -> None:
    """docs/clients.md names one line for each client; they are run as they stand there."""
    page = (SHIM.parents[1] / "docs" / "clients.md").read_text()
    lines = [
        line for line in page.splitlines() if line.startswith(("AgentHumanApi.BASE_URL = ", "avatar._api._api_url = "))
    ]
    assert len(lines) == 2
    code = f"""
from types import SimpleNamespace
{USE.strip().rpartition("for client")[0]}
avatar = SimpleNamespace(_api=AgentHumanAPI("two"))
{lines[0]}
{lines[1]}
for client in (AgentHumanApi("one"), avatar._api):
    print(client.create())
"""
    address = "http://127.0.0.1:8080/v1"
    assert address in code
    assert run(code.replace(address, server), clients, shim=False).split("\n")[:2] == [
        "/v1/sessions one",
        "/v1/sessions two",
    ]


def test_the_documented_command_does_the_same(clients: Path, server: str, tmp_path: Path) -> None:
    """The command of docs/clients.md, for an agent that uses both; the clients' packages lie beside the agent."""
    (tmp_path / "examples").symlink_to(SHIM.parent)
    for package in clients.iterdir():
        (tmp_path / package.name).symlink_to(package)
    (tmp_path / "my_agent.py").write_text(USE)
    [line] = block_with("clients.md", "AGENTHUMAN_BASE_URL").splitlines()
    environ = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = ["bash", "-euc", line.replace("http://127.0.0.1:8080/v1", server)]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.splitlines() == [f"/v1/sessions {key}" for key in ("one", "two", "three")], done.stderr
