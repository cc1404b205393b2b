"""In front of the HTTP application: WebSockets go to the control hub, and its own port serves nothing else."""

from typing import cast

from litestar import Litestar
from litestar.types import ASGIApp, Receive, Scope, Send

from api.control.hub import ControlHub
from domain.relay import PATH

CLIENT_PATHS = ("/", "/ws")


def control_gate(app: Litestar, control_port: int = 0) -> ASGIApp:
    """The application with its control sockets. Connections to `control_port` are sockets of clients or nothing."""

    async def gate(scope: Scope, receive: Receive, send: Send) -> None:
        kind: str = scope["type"]  # "lifespan" too, whatever the type says
        at_control = control_port and (scope.get("server") or ("", 0))[1] == control_port
        if kind == "websocket":
            await _websocket(app, scope, receive, send, for_clients_only=bool(at_control))
        elif kind == "http" and at_control:
            await _not_found(send)
        else:
            await app(scope, receive, send)

    return cast("ASGIApp", gate)


async def _websocket(app: Litestar, scope: Scope, receive: Receive, send: Send, *, for_clients_only: bool) -> None:
    hub: ControlHub = app.state.control
    if scope["path"] in CLIENT_PATHS:
        await hub.serve_client(scope, receive, send)
    elif scope["path"].startswith(PATH) and not for_clients_only:
        await hub.serve_avatar(scope, receive, send)
    else:
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": ""})


async def _not_found(send: Send) -> None:
    text = b"This port takes WebSocket connections only.\n"
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    await send({"type": "http.response.body", "body": text, "more_body": False})
