"""What the API says when parts are away, and about itself."""

import time
from pathlib import Path
from typing import Any

from ulid import ULID

from api.app import create_app
from api.auth import key_hash
from database.accounts import Accounts
from database.migrations import migrate
from support.api_system import KEY, PICTURE, ROOM, ApiSystem, serving, settings_in
from support.databases import an_avatar

NOBODY = "127.0.0.1:9"
"""Nothing listens on the discard port."""


async def test_health_needs_no_key(api_system: ApiSystem) -> None:
    """The process answers, whatever else is away."""
    assert await api_system.request("GET", "/healthz", key=None) == (200, {"status": "ok"})


async def test_ready_when_every_part_is_there(api_system: ApiSystem) -> None:
    """Each part is named and ok."""
    status, body = await api_system.request("GET", "/readyz", key=None)
    assert status == 200, body
    assert set(body["parts"]) == {"database", "temporal", "storage", "avatar_servers"}
    assert set(body["parts"].values()) == {"ok"}


async def test_without_temporal_creates_are_503_within_five_seconds(tmp_path: Path) -> None:
    """The API starts without Temporal, names the part that is away, refuses creates in time, and keeps no picture."""
    settings = settings_in(tmp_path)
    await migrate(settings.database_address)
    app = create_app(settings, {"TEMPORAL_ADDRESS": NOBODY})
    async with serving(app) as http:
        services: Any = app.state.services
        await Accounts(services.sessions._engine).create("acct_1", "tester")
        await services.accounts.add_key("acct_1", key_hash(KEY), "first")
        avatar_id = f"avat_{ULID()}"
        await services.avatars.register(an_avatar(avatar_id, "acct_1"), "0" * 64)
        began = time.monotonic()
        request: dict[str, Any] = {"json": {"avatar": avatar_id, "room": ROOM}, "headers": {"x-api-key": KEY}}
        response = await http.post("/v1/sessions", **request)
        assert time.monotonic() - began < 5.5
        assert response.status_code == 503
        assert response.json()["error"]["code"] == "TEMPORARILY_UNAVAILABLE"
        assert "Retry-After" in response.headers
        upload = {"json": {"image_base64": PICTURE}, "headers": {"x-api-key": KEY}}
        assert (await http.post("/v1/avatars/upload-face", **upload)).status_code == 503
        assert not [path for path in (tmp_path / "objects" / "staging").rglob("*") if path.is_file()]
        ready = await http.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["parts"]["temporal"] != "ok"
        assert ready.json()["parts"]["database"] == "ok"


async def test_an_unmigrated_database_is_named(tmp_path: Path) -> None:
    """`readyz` says what to run, and requests are answered 503 rather than with a stack trace."""
    app = create_app(settings_in(tmp_path), {"TEMPORAL_ADDRESS": NOBODY})
    async with serving(app) as http:
        ready = (await http.get("/readyz")).json()
        assert "migrate" in ready["parts"]["database"]


async def test_unknown_addresses_and_methods_have_shape_one(api_system: ApiSystem) -> None:
    """Also what no handler sees is answered in the contract's shape."""
    status, body = await api_system.request("GET", "/v1/nothing")
    assert (status, body["error"]["code"]) == (404, "NOT_FOUND")
    status, body = await api_system.request("PATCH", "/v1/sessions")
    assert (status, body["error"]["code"]) == (405, "METHOD_NOT_ALLOWED")


async def test_the_openapi_document_is_complete(api_system: ApiSystem) -> None:
    """Every route is there, with the key where it is needed, its errors, and both bodies of the upload."""
    _, document = await api_system.request("GET", "/schema/openapi.json", key=None)
    paths = document["paths"]
    create = paths["/v1/sessions"]["post"]
    assert {"201", "400", "401", "403", "404", "429", "503"} <= set(create["responses"])
    assert create["security"] == [{"apiKey": []}]
    assert set(paths["/v1/avatars/{avatar_id}"]) == {"delete"}
    assert {"200", "401", "404", "503"} <= set(paths["/v1/avatars/{avatar_id}"]["delete"]["responses"])
    assert set(paths["/v1/sessions"]) == {"get", "post"}
    assert {"200", "400", "401", "503"} <= set(paths["/v1/sessions"]["get"]["responses"])
    assert {one["name"] for one in paths["/v1/sessions"]["get"]["parameters"]} == {"status", "limit", "cursor"}
    assert {"200", "401", "404", "503"} <= set(paths["/v1/sessions/{session_id}/timeline"]["get"]["responses"])
    upload = paths["/v1/avatars/upload-face"]["post"]["requestBody"]["content"]
    assert set(upload) == {"application/json", "multipart/form-data"}
    for path, operations in paths.items():
        for operation in operations.values():
            assert operation["responses"], path
            assert operation.get("description") or operation.get("summary"), path
            # The link is the credential (contract 11).
            asks = path.startswith("/v1/") and path != "/v1/links/start-session"
            assert asks == bool(operation.get("security")), path
            assert path.startswith("/v1/") == ("429" in operation["responses"]), path
