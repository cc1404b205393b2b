"""The codec server: whom it answers, what it decrypts, and that Temporal's own page shows what it says."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from httpx import ASGITransport, AsyncClient, BasicAuth
from replay.scenes import play
from temporalio.client import Client

from api.codec_server import codec_app
from cli.main import main
from runtime.supervision.part import Part, python_part
from runtime.supervision.readiness import ListensOn
from runtime.supervisor import Supervisor
from runtime.system.ports import free_port
from runtime.temporal_client import connect
from support.api_system import environment
from support.docs_commands import block_with
from support.stand_in_steps import standing_in
from support.temporal import ENCRYPTED, TEMPORAL

TOKEN = "a-token-of-a-test-codec-server"
KEY = base64.b64encode(b"c" * 32).decode()
UI = "http://ui.test:8233"
ENVIRON = {"GREENROOM_PAYLOAD_KEYS": f"k1:{KEY}", "GREENROOM_CODEC_TOKEN": TOKEN, "GREENROOM_CODEC_ORIGINS": UI}


@pytest.fixture
async def http() -> AsyncIterator[AsyncClient]:
    """A client that shows the token."""
    app = codec_app({"k1": b"c" * 32}, TOKEN, frozenset({UI}))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with AsyncClient(transport=ASGITransport(app), base_url="http://codec.test", headers=headers) as http:
        yield http


def wire(**metadata: str) -> dict[str, Any]:
    """A payload as protobuf writes it."""
    encoded = {name: base64.b64encode(value.encode()).decode() for name, value in metadata.items()}
    return {"metadata": encoded, "data": base64.b64encode(b'"sara"').decode()}


async def test_what_it_encrypts_it_decrypts(http: AsyncClient) -> None:
    """Payloads go both ways; nobody is to keep the answers."""
    asked = {"payloads": [wire(encoding="json/plain"), {"metadata": wire(encoding="binary/null")["metadata"]}]}
    shut = await http.post("/encode", json=asked)
    assert "InNhcmEi" not in shut.text
    opened = await http.post("/decode", json=shut.json())
    assert opened.json()["payloads"][0] == asked["payloads"][0]
    assert opened.json()["payloads"][1]["metadata"] == asked["payloads"][1]["metadata"]
    assert opened.headers["cache-control"] == "no-store"


async def test_what_it_cannot_decrypt_stays_shut_and_the_rest_is_shown(http: AsyncClient) -> None:
    """A page with a payload of a key that has been retired still shows the others."""
    old = wire(encoding="binary/encrypted", **{"encryption-key-id": "k0"})
    answer = await http.post("/decode", json={"payloads": [old, wire(encoding="json/plain")]})
    assert answer.json()["payloads"] == [old, wire(encoding="json/plain")]


@pytest.mark.parametrize("body", ["", "{", '{"payloads": [{"data": "?"}]}', '{"payloads": 3}'])
async def test_nonsense_is_the_askers_fault(http: AsyncClient, body: str) -> None:
    """What is no list of payloads is answered 400."""
    assert (await http.post("/decode", content=body)).status_code == 400


@pytest.mark.parametrize("path", ["/", "/encode", "/decode"])
@pytest.mark.parametrize("shown", ["", "Bearer", "Bearer another", f"Token {TOKEN}", "Basic ?", "Basic YTpi", TOKEN])
async def test_without_the_token_nothing_is_answered(http: AsyncClient, path: str, shown: str) -> None:
    """Whatever is shown instead; a browser is told to ask for a password."""
    answer = await http.request("GET" if path == "/" else "POST", path, headers={"Authorization": shown})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize(
    ("without", "said"),
    [("PAYLOAD_KEYS", "GREENROOM_PAYLOAD_KEYS is not set"), ("CODEC_TOKEN", "GREENROOM_CODEC_TOKEN")],
)
def test_it_does_not_start_without_keys_or_a_token(without: str, said: str) -> None:
    """Neither can be left out: one makes it useless, the other dangerous."""
    environ = {name: None if name.endswith(without) else value for name, value in ENVIRON.items()}
    ended = CliRunner().invoke(main, ["codec-server"], env=environ)
    assert (ended.exit_code, said in ended.output) == (2, True)


async def test_a_browser_shows_the_token_as_a_password(http: AsyncClient) -> None:
    """Under any name: browsers send nothing else by themselves."""
    answer = await http.get("/", auth=BasicAuth("me", TOKEN))
    assert answer.status_code == 200


@pytest.mark.parametrize(("origin", "allowed"), [(UI, UI), ("http://evil.test", None)])
async def test_only_pages_that_were_named_may_read(http: AsyncClient, origin: str, allowed: str | None) -> None:
    """A browser is told so before it asks, without the token, and with the answer."""
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST", "Authorization": ""}
    headers["Access-Control-Request-Headers"] = "authorization,content-type,x-namespace"
    before = await http.options("/decode", headers=headers)
    assert before.headers.get("access-control-allow-origin") == allowed
    answer = await http.post("/decode", json={"payloads": []}, headers={"Origin": origin})
    assert answer.headers.get("access-control-allow-origin") == allowed
    refused = await http.post("/decode", headers={"Origin": origin, "Authorization": ""})
    assert refused.status_code == 401


@asynccontextmanager
async def running(folder: Path, environ: dict[str, str]) -> AsyncIterator[str]:
    """`greenroom codec-server` as a process; its address."""
    port = free_port(set())
    command = python_part("cli.main", "codec-server", "--port", str(port))
    async with Supervisor(logs=folder, announce=lambda *_: None) as supervisor:
        ready = ListensOn(host="127.0.0.1", port=port)
        await supervisor.start(Part(name="codec", command=command, environ=environ, ready=ready))
        yield f"http://127.0.0.1:{port}"


async def test_temporals_command_line_reads_a_session_through_it(temporal: Client, tmp_path: Path) -> None:
    """A history of a real server, whose payloads nobody else can read, is shown by `temporal` with the token."""
    where = {**environment(temporal), "TEMPORAL_NAMESPACE": ENCRYPTED}
    client = await connect({**where, **ENVIRON})
    async with standing_in(client) as stand_ins, running(tmp_path, ENVIRON) as address:
        session_id = (await play("normal", client, stand_ins)).workflow_id
        plain = await shown(where, session_id)
        opened = await shown(where, session_id, "--codec-endpoint", address, "--codec-auth", f"Bearer {TOKEN}")
        assert ["ended_by_request" in said for said in (plain, opened)] == [False, True]


async def test_the_page_on_the_codec_server(temporal: Client, tmp_path: Path) -> None:
    """Both lines of keys.md as a shell runs them, with a token, a session and a port in their places."""
    where = {**environment(temporal), "TEMPORAL_NAMESPACE": ENCRYPTED}
    port = free_port(set())
    client = await connect({**where, **ENVIRON})
    async with standing_in(client) as stand_ins:
        session_id = (await play("normal", client, stand_ins)).workflow_id
    serve, read = block_with("keys.md", "GREENROOM_CODEC_TOKEN").splitlines()
    serve = f"{serve.replace('TOKEN=...', f'TOKEN={TOKEN}')} --port {port}"
    read = read.replace("sess_...", session_id).replace("Bearer ...", f"Bearer {TOKEN}").replace("8234", str(port))
    wait = f"until (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null; do kill -0 $!; sleep 0.1; done"
    process = await asyncio.create_subprocess_exec(
        "bash", "-euc", f"{serve} & trap 'kill $!' EXIT\n{wait}\n{read} --output json",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**where, **ENVIRON, "PATH": f"{Path(TEMPORAL).parent}:/usr/bin:/bin", "HOME": str(tmp_path)},
    )  # fmt: skip
    said, complaints = await asyncio.wait_for(process.communicate(), 40)
    assert "ended_by_request" in said.decode(), complaints.decode()


async def shown(where: dict[str, str], session_id: str, *words: str) -> str:
    """What Temporal's command line prints of a workflow's input and result."""
    namespace = ("--namespace", where["TEMPORAL_NAMESPACE"], "--address", where["TEMPORAL_ADDRESS"])
    process = await asyncio.create_subprocess_exec(
        TEMPORAL, "workflow", "result", "--workflow-id", session_id, "--output", "json", *namespace, *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env={"PATH": "", "HOME": "/nonexistent"},
    )  # fmt: skip
    said, _ = await process.communicate()
    return said.decode()
