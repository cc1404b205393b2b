"""Ports of a system on one machine: asked for, remembered, usual, or free; it keeps none open."""

import random
import socket
from collections.abc import Callable, Mapping
from contextlib import closing

import msgspec

LOOPBACK = "127.0.0.1"

THIS_MACHINE = f"localhost,{LOOPBACK}"
"""Where webhooks may be sent to besides: receivers that are being written run here."""
LOWEST, HIGHEST = 20_000, 32_000
"""Free ports come from below the kernel's range for outgoing connections, which would take them away again."""

TRIES = 200


class PortBusyError(Exception):
    """A port that was asked for by number is taken; the message names both."""


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """Every port of the system, all on loopback but `livekit_tcp`."""

    api: int = 8080
    """The HTTP API."""

    temporal: int = 7233
    """Temporal's gRPC service."""

    temporal_ui: int = 8233
    """Temporal's pages."""

    temporal_http: int = 7243
    """Temporal's HTTP API."""

    temporal_metrics: int = 7253
    """Temporal's metrics."""

    livekit: int = 7880
    """LiveKit's signalling."""

    livekit_udp: int = 7882
    """LiveKit's media."""

    api_metrics: int = 9464
    """The API's metrics; like the three that follow at /metrics."""

    sessions_metrics: int = 9465
    """The sessions worker's."""

    faces_metrics: int = 9466
    """The faces worker's."""

    avatar_metrics: int = 9467
    """The avatar server's."""

    livekit_tcp: int = 0
    """LiveKit's media over TCP for clients without UDP; 0 is none. LiveKit opens it on every interface."""


def is_free(port: int) -> bool:
    """Whether both a TCP and a UDP server could open this port on loopback now."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with closing(socket.socket(socket.AF_INET, kind)) as probe:
            if kind == socket.SOCK_STREAM:
                # As servers do: connections of a killed predecessor that only time out are not in the way.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                return False
    return True


def free_port(taken: set[int]) -> int:
    """A port that is free now and not in `taken`."""
    for _ in range(TRIES):
        port = random.randint(LOWEST, HIGHEST)  # noqa: S311 - spreads, guards nothing
        if port not in taken and is_free(port):
            return port
    raise PortBusyError(f"no free port found between {LOWEST} and {HIGHEST}")


def choose_ports(
    asked: Mapping[str, int], remembered: Mapping[str, int], *, usual: bool, tell: Callable[[str], None]
) -> Ports:
    """Each port as asked for, else as remembered, else its usual number (`usual`) or a free one.

    A remembered or usual port that is busy is replaced by a free one, and `tell` says so. PortBusyError if one that was
    asked for is busy or asked for twice.
    """
    chosen: dict[str, int] = {}
    for name, port in asked.items():
        if port and (port in chosen.values() or not is_free(port)):
            raise PortBusyError(f"port {port}, asked for as {name.replace('_', '-')}-port, is in use")
        chosen[name] = port
    for field in msgspec.structs.fields(Ports):
        name = field.name
        if name in chosen:
            continue
        if name == "livekit_tcp":
            chosen[name] = 0
            continue
        wanted = remembered.get(name) or (field.default if usual else 0)
        chosen[name] = _wanted_or_free(name, wanted, set(chosen.values()), tell)
    return Ports(**chosen)


def _wanted_or_free(name: str, wanted: int, taken: set[int], tell: Callable[[str], None]) -> int:
    if wanted and wanted not in taken and is_free(wanted):
        return wanted
    port = free_port(taken)
    if wanted:
        tell(f"port {wanted} ({name.replace('_', ' ')}) is in use: taking {port}")
    return port
