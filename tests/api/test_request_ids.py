"""Every answer names its request, whatever answers it, and so do the log lines of that request."""

import io
import logging
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient
from litestar import Litestar, get

from api.errors import HANDLERS
from api.request_ids import identified
from support.api_system import KEY, ApiSystem
from telemetry.about import about
from telemetry.log_lines import Sentences

OURS = "req_"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/healthz"),
        ("GET", "/v1/avatars"),
        ("GET", "/v1/sessions/sess_nobody"),
        ("GET", "/v1/nothing"),
        ("PATCH", "/v1/sessions"),
        ("GET", "/nowhere"),
        ("POST", "/v1/sessions"),
        ("GET", "/files/avatars/x/preview.jpg"),
        ("GET", "/schema/openapi.json"),
    ],
)
async def test_every_answer_names_its_request(api_system: ApiSystem, method: str, path: str) -> None:
    """Found, refused, or not there at all: each has an id of its own."""
    answers = [await api_system.http.request(method, path, headers={"x-api-key": KEY}) for _ in range(2)]
    first, second = (answer.headers.get_list("x-request-id") for answer in answers)
    assert len(first) == len(second) == 1
    assert first[0].startswith(OURS)
    assert first != second


async def test_a_sane_id_of_the_client_is_kept(api_system: ApiSystem) -> None:
    """So that its log and ours meet; what could break a line or fill a log is replaced."""
    for sent, kept in (
        ("call-7.a:b", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("", False),
        ("two words", False),
        ("a\tb", False),
        ("caf\xe9", False),
    ):
        headers = {"x-request-id": sent.encode("latin-1")}
        answer = await api_system.http.get("/healthz", headers=headers)
        assert (answer.headers["x-request-id"] == sent) == kept, sent


@get("/fails")
async def fails() -> None:
    """Raise what nobody expects."""
    raise LookupError


async def test_log_lines_of_a_request_name_it() -> None:
    """A surprise of a handler is found in the log by what the client was told; the next request is another."""
    app: Any = Litestar([fails], exception_handlers=HANDLERS, logging_config=None, openapi_config=None)
    app.asgi_handler = identified(app.asgi_handler)
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(Sentences("%(message)s"))
    log = logging.getLogger("api.errors")
    log.addHandler(handler)
    try:
        async with AsyncClient(transport=ASGITransport(app, raise_app_exceptions=False), base_url="http://a") as http:
            told = [(await http.get("/fails", headers={"x-request-id": sent})).headers for sent in ("call-8", "")]
    finally:
        log.removeHandler(handler)
    named = [line for line in text.getvalue().splitlines() if line.startswith("GET /fails failed")]
    assert named == [f"GET /fails failed [{headers['x-request-id']}]" for headers in told]
    assert about() == {}
