"""The document that the service tells of itself, and a client that a generator makes of it."""

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient

from support.api_system import KEY, ROOM, ApiSystem

NAMES = ("ErrorView", "PlainErrorView", "RateLimitedView", "ReadinessView")
ERRORS = {f"#/components/schemas/{name}" for name in NAMES}
NAME = "generated_greenroom_client"


@pytest.fixture(scope="module")
async def document(api_system: ApiSystem) -> dict[str, Any]:
    """The document, as clients get it."""
    return dict((await api_system.http.get("/schema/openapi.json")).json())


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each operation with its name."""
    for path, item in document["paths"].items():
        yield from ((f"{method.upper()} {path}", one) for method, one in item.items() if isinstance(one, dict))


def test_every_error_has_one_of_our_shapes(document: dict[str, Any]) -> None:
    """Nothing that the framework would answer, were it asked, is documented."""
    foreign = [
        (name, status, content["schema"])
        for name, one in operations(document)
        for status, answer in one["responses"].items()
        for content in answer.get("content", {}).values()
        if int(status) >= 400 and content["schema"].get("$ref") not in ERRORS
    ]
    assert foreign == []


def test_every_operation_has_a_name_of_its_own(document: dict[str, Any]) -> None:
    """Generators make functions of them."""
    names = [one["operationId"] for _, one in operations(document)]
    assert len(set(names)) == len(names)


@pytest.fixture(scope="module")
def client(document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The package that `openapi-python-client` makes of it, as docs/clients.md says."""
    folder = tmp_path_factory.mktemp("generated")
    (folder / "openapi.json").write_text(json.dumps(document))
    command = [str(Path(sys.executable).with_name("openapi-python-client")), "generate", "--meta", "none"]
    done = subprocess.run(
        [*command, "--path", "openapi.json", "--output-path", NAME],
        cwd=folder, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (folder / NAME / "client.py").exists(), done.stdout + done.stderr
    assert "sessions" not in _unparsed(done.stdout), done.stdout
    sys.path.insert(0, str(folder))
    yield importlib.import_module(NAME)
    sys.path.remove(str(folder))


def _unparsed(said: str) -> str:
    """The operations that the generator had a warning for."""
    return "\n".join(line for line in said.splitlines() if line.startswith("WARNING parsing"))


async def test_a_generated_client_does_a_whole_session(api_system: ApiSystem, client: Any) -> None:
    """It lists, creates, reads and ends, and reads a refusal, all in the types that it was made with."""

    def call(name: str) -> Any:
        return importlib.import_module(f"{NAME}.api.{name}")

    models = importlib.import_module(f"{NAME}.models")
    caller = client.AuthenticatedClient(base_url="http://api.test", token=KEY, prefix="", auth_header_name="x-api-key")
    transport = api_system.http._transport
    assert isinstance(transport, ASGITransport)
    caller.set_async_httpx_client(
        AsyncClient(transport=transport, base_url="http://api.test", headers={"x-api-key": KEY})
    )
    avatar = await api_system.avatar()
    listed = await call("avatars.v1_avatars_list_avatars").asyncio(client=caller)
    assert avatar in [one.avatar_id for one in listed.my_avatars]
    await api_system.a_slot_is_free()
    body = models.CreateSessionRequest(avatar=avatar, room=models.RoomRequest(**ROOM))
    made = await call("sessions.v1_sessions_create_session").asyncio(client=caller, body=body)
    assert isinstance(made, models.SessionCreated)
    session_id = made.session.session_id
    found = await call("sessions.v1_sessions_session_id_get_session").asyncio(session_id, client=caller)
    assert (found.session.status, found.session.duration) == ("started", 0)
    ended = await call("sessions.v1_sessions_session_id_end_post_end_session").asyncio(session_id, client=caller)
    assert ended.session.end_reason == "ended_by_request"
    refused = await call("sessions.v1_sessions_create_session").asyncio(
        client=caller, body=models.CreateSessionRequest(avatar="avat_nobody", room=models.RoomRequest(**ROOM))
    )
    assert isinstance(refused, models.ErrorView)
    assert refused.error.code == "AVATAR_NOT_FOUND"
