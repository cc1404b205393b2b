"""`X-Request-Id`: on every answer, and in the log lines of its request. The client's own where it is sane."""

import re

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from ulid import ULID

from telemetry.about import noting

HEADER = b"x-request-id"
SANE = re.compile(rb"[0-9A-Za-z._:=+/-]{1,128}")
"""What goes into logs and headers as it comes."""


def identified(app: ASGIApp) -> ASGIApp:
    """The application, each of whose requests has an id; around all of it, for what no handler sees is answered too."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        mine = _id_of(scope)

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (HEADER, mine)]
            await send(message)

        with noting(request_id=mine.decode()):
            await app(scope, receive, named)

    return handle


def _id_of(scope: Scope) -> bytes:
    sent = next((value for name, value in scope["headers"] if name == HEADER), b"")
    return sent if SANE.fullmatch(sent) else f"req_{ULID()}".encode()
