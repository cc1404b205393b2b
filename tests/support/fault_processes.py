"""Finds the media processes that fault tests aim at, and which of them are in a room; it ends none."""

import contextlib
from pathlib import Path

from support.processes import marked

ESTABLISHED = "01"
MEDIA = "worker.avatar_process"


def media_processes(run: str) -> list[int]:
    """All media processes of a run, spares included."""
    return [process.pid for process in marked(run) if MEDIA in process.command]


def in_a_room(run: str, port: int) -> list[int]:
    """The media processes that are connected to the LiveKit server at a port."""
    connected = _sockets_to(port)
    return [pid for pid in media_processes(run) if connected & _sockets_of(pid)]


def is_connected(pid: int, port: int) -> bool:
    """Has a process a TCP connection to a port of this machine?"""
    return bool(_sockets_to(port) & _sockets_of(pid))


def _sockets_to(port: int) -> set[str]:
    """The inodes of the TCP connections that lead to a port of this machine."""
    rows = [row.split() for family in ("tcp", "tcp6") for row in Path(f"/proc/net/{family}").read_text().splitlines()]
    return {row[9] for row in rows if row[3] == ESTABLISHED and int(row[2].rpartition(":")[2], 16) == port}


def _sockets_of(pid: int) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(str(link.readlink()).removeprefix("socket:[").rstrip("]"))
    return found
