"""The sockets that the API listens on."""

import socket
from pathlib import Path

from litestar import Litestar

from api.serving import api_server
from support.api_system import settings_in
from support.livekit_server import free_port


def test_answers_are_sent_at_once(tmp_path: Path) -> None:
    """A connection that is accepted does not hold small packets back for the other side's acknowledgement."""
    _, listening = api_server(Litestar([]), settings_in(tmp_path, port=free_port()))
    with listening[0] as server, socket.create_connection(server.getsockname()), server.accept()[0] as accepted:
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
