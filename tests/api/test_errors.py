"""Failure codes on HTTP: the contract's statuses and its shapes, whatever a handler raises."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from httpx import ASGITransport, AsyncClient
from litestar import Litestar, get, post
from litestar.params import JSONBody, PathParameter, QueryParameter

from api.errors import HANDLERS, answer, status_of
from cli.errors import error_page
from contracts.http import CreateSessionRequest
from domain.failures import FailureCode, Refused, Unavailable
from support.api_system import ApiSystem

CONTRACT: dict[int, set[str]] = {
    401: {"API_KEY_REQUIRED", "INVALID_API_KEY", "API_KEY_DEACTIVATED", "INVALID_SESSION_TOKEN"},
    403: {
        "AVATAR_ACCESS_DENIED", "PLAN_REQUIRED", "AVATAR_LIMIT_REACHED", "INSUFFICIENT_MINUTES", "ACCOUNT_CLOSED",
        "LINK_EXPIRED", "LINK_PAUSED", "LINK_USED_UP", "EXTENSION_LIMIT_REACHED",
    },
    404: {"NOT_FOUND", "AVATAR_NOT_FOUND", "SESSION_NOT_FOUND", "LINK_NOT_FOUND"},
    405: {"METHOD_NOT_ALLOWED"},
    409: {"IDEMPOTENCY_KEY_REUSED"},
    429: {"CONCURRENCY_LIMIT_REACHED", "TOO_MANY_REQUESTS"},
    500: {"INTERNAL_ERROR"},
    503: {
        "ADMISSIONS_FROZEN", "NO_MATCHING_SERVER",
        "AT_CAPACITY", "SERVER_LOST", "LEASE_REVOKED", "CREATE_TIMED_OUT", "CREATE_CANCELLED",
        "TEMPORARILY_UNAVAILABLE", "WEBHOOK_NOT_DELIVERED",
    },
    400: {
        "WEBHOOK_URL_NOT_ALLOWED",
        "INVALID_JSON", "INVALID_REQUEST", "AVATAR_REQUIRED", "INVALID_AVATAR", "ROOM_REQUIRED", "INVALID_ROOM",
        "INVALID_ROOM_PLATFORM", "ROOM_PLATFORM_UNAVAILABLE", "ROOM_HOST_NOT_ALLOWED", "INVALID_ASPECT_RATIO",
        "INVALID_METADATA", "INVALID_WAIT", "INVALID_IMAGE_INPUT", "IMAGE_TOO_LARGE", "IMAGE_TOO_SMALL",
        "IMAGE_TOO_MANY_PIXELS", "IMAGE_TYPE_UNSUPPORTED", "IMAGE_DAMAGED", "NO_FACE", "SEVERAL_FACES",
        "FACE_TOO_SMALL", "FACE_CUT_OFF", "EXTREME_POSE", "ILLUSTRATION", "TOO_BLURRY", "ROOM_UNREACHABLE",
        "ROOM_TOKEN_REFUSED", "ROOM_ENCRYPTED", "ROOM_JOIN_FAILED", "IMAGE_URL_NOT_ALLOWED", "IMAGE_URL_UNUSABLE",
        "IMAGE_URL_UNREACHABLE", "SESSION_ENDED", "SESSION_NOT_DELETABLE", "INVALID_LINK", "SPEECH_UNAVAILABLE",
    },
}  # fmt: skip
"""Section 0 of the contract, and section 1's general list. A new code is a decision: it is made here."""

RETRIED_BY_CLIENTS = {429, 503}


def test_every_code_has_the_contracts_status() -> None:
    """The whole vocabulary, and nothing beside it."""
    found: dict[int, set[str]] = {}
    for code in FailureCode:
        found.setdefault(status_of(code), set()).add(code.value)
    assert found == CONTRACT


@pytest.mark.parametrize("code", sorted(FailureCode))
def test_a_refusal_has_the_shape_of_its_status(code: FailureCode) -> None:
    """401 and too many requests are sentences; all else is an object with code, message and details, and says when."""
    response = answer(Refused(code, "words", details={"measured": 1}))
    body = msgspec.json.decode(msgspec.json.encode(response.content))
    assert response.status_code == status_of(code)
    if response.status_code == 401:
        assert body == {"error": "words"}
    elif code == FailureCode.TOO_MANY_REQUESTS:
        assert body == {"success": False, "error": "words"}
    else:
        error = body["error"]
        assert body["success"] is False
        assert (error["code"], error["message"], error["details"]) == (code, "words", {"measured": 1})
    assert ("Retry-After" in response.headers) == (response.status_code in RETRIED_BY_CLIENTS)
    assert int(response.headers.get("Retry-After", 1)) >= 1


def test_the_catalogue_page_is_the_generated_one() -> None:
    """docs/errors.md has every code with its status and what helps; after a change, `make errors` writes it anew."""
    page = Path(__file__).parents[2] / "docs" / "errors.md"
    assert page.read_text() == error_page(), "run `make errors` and commit docs/errors.md"
    assert all(f"| `{code}` | {status_of(code)} |" in error_page() for code in FailureCode)


def test_what_there_is_not_is_left_out() -> None:
    """No empty suggestion and no null details."""
    body = msgspec.json.decode(msgspec.json.encode(answer(Refused(FailureCode.SESSION_NOT_FOUND, "words")).content))
    assert body == {"success": False, "error": {"message": "words", "code": "SESSION_NOT_FOUND"}}


@get("/fails/{how:str}")
async def fails(how: Annotated[str, PathParameter()]) -> None:
    """Raise something."""
    raise {
        "unavailable": Unavailable("postgresql://db.internal refused"),
        "surprise": LookupError("a secret in a message"),
        "refused": Refused(FailureCode.NO_FACE, "words", details={"faces": 0}),
    }[how]


@post("/sessions")
async def sessions(data: JSONBody[CreateSessionRequest]) -> None:
    """Take a create's body."""


@get("/files")
async def files(expires: Annotated[int, QueryParameter()]) -> None:
    """Take a number."""


@pytest.fixture
async def http() -> AsyncIterator[AsyncClient]:
    """A client of an application with the API's handlers of errors."""
    app: Any = Litestar([fails, sessions, files], exception_handlers=HANDLERS, logging_config=None, openapi_config=None)
    transport = ASGITransport(app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://api.test") as client:
        yield client


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [
        ("refused", 400, "NO_FACE"),
        ("unavailable", 503, "TEMPORARILY_UNAVAILABLE"),
        ("surprise", 500, "INTERNAL_ERROR"),
    ],
)
async def test_whatever_is_raised_is_answered_in_shape_one(http: AsyncClient, how: str, status: int, code: str) -> None:
    """What happened inside stays inside: no address, no message of a library."""
    response = await http.get(f"/fails/{how}")
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert response.headers["Content-Type"] == "application/json"
    assert "internal" not in response.text
    assert "secret" not in response.text


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"avatar": 5}, "INVALID_AVATAR", "avatar"),
        ({"avatar_id": []}, "INVALID_AVATAR", "avatar_id"),
        ({"avatar": None}, "INVALID_AVATAR", "avatar"),
        ({"room": 5}, "INVALID_ROOM", "room"),
        ({"room": {"platform": 5}}, "INVALID_ROOM", "room"),
        ({"room": {"token": None}}, "INVALID_ROOM", "room"),
        ({"aspect_ratio": 43}, "INVALID_ASPECT_RATIO", "aspect_ratio"),
        ({"metadata": None}, "INVALID_METADATA", "metadata"),
        ({"metadata": [1]}, "INVALID_METADATA", "metadata"),
        ([1], "INVALID_REQUEST", ""),
        ("text", "INVALID_REQUEST", ""),
    ],
)
async def test_a_field_of_the_wrong_type_has_its_own_code(http: AsyncClient, body: Any, code: str, field: str) -> None:
    """The message begins with the field's name."""
    response = await http.post("/sessions", json=body)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, code)
    assert error["message"].startswith(field)


UNREADABLE = [
    b"{",
    b"{'avatar': 1}",
    b"\xff\xfe",
    b'{"avatar": "\xff", "image_base64": "\xff"}',
    b'{"avatar": "\\ud800", "image_base64": "\\ud800"}',
    b'{"metadata": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
]


@pytest.mark.parametrize("path", ["sessions", "avatars/upload-face"])
@pytest.mark.parametrize("content", UNREADABLE, ids=lambda content: content[:20].decode(errors="replace"))
async def test_what_is_no_json_is_named_so(api_system: ApiSystem, content: bytes, path: str) -> None:
    """Cut off, single-quoted, not UTF-8, or nested without end: it is the client's fault, and told so."""
    headers = {"Content-Type": "application/json"}
    status, body = await api_system.request("POST", f"/v1/{path}", content=content, headers=headers)
    assert (status, body["error"]["code"]) == (400, "INVALID_JSON")


@pytest.mark.parametrize("content", [b"", b"--b\r\n", b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n"])
@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=b"])
async def test_a_broken_form_is_refused(api_system: ApiSystem, content: bytes, kind: str) -> None:
    """Without its boundary, without its end, or without names."""
    headers = {"Content-Type": kind}
    status, body = await api_system.request("POST", "/v1/avatars/upload-face", content=content, headers=headers)
    assert (status, body["success"]) == (400, False)
    assert body["error"]["code"] in {"INVALID_JSON", "INVALID_REQUEST", "INVALID_IMAGE_INPUT"}


async def test_a_wrong_parameter_of_an_address_is_a_400(http: AsyncClient) -> None:
    """A word where a number belongs, and a missing one."""
    for address in ("/files?expires=soon", "/files"):
        response = await http.get(address)
        assert (response.status_code, response.json()["error"]["code"]) == (400, "INVALID_REQUEST")
