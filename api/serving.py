"""The API as a server: its port, and where one is set the port of its control sockets."""

import socket

import uvicorn
from litestar import Litestar

from api.control.gate import control_gate
from api.control.streaming_protocol import StreamingProtocol
from runtime.settings import Settings

BACKLOG = 2048


def api_server(app: Litestar, settings: Settings) -> tuple[uvicorn.Server, list[socket.socket]]:
    """The server and what it listens on; OSError where a port is taken."""
    config = uvicorn.Config(
        control_gate(app, settings.control_port),
        host=settings.host,
        port=settings.port,
        ws=StreamingProtocol,
        ws_max_size=settings.control_message_mb * 10**6,
        ws_per_message_deflate=False,  # a message of a few bytes could become many
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=5,
    )
    ports = [settings.port, *([settings.control_port] if settings.control_port else [])]
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    sockets = [socket.create_server((settings.host, port), family=family, backlog=BACKLOG) for port in ports]
    for one in sockets:
        # asyncio does so only for sockets that name their protocol: an answer on a kept connection would wait 40 ms.
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return uvicorn.Server(config), sockets
