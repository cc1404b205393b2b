"""Starts the host when a track misses it; never two, never in a hurry, never to go with a session."""

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Final

from presence.renderers.lipsync.address import REFUSED, HostAddress
from presence.renderers.lipsync.locking import alone

log = logging.getLogger(__name__)

MODULE: Final = "presence.renderers.lipsync.host"
AGAIN_S, AFTER_REFUSAL_S = 5.0, 60.0
"""Pauses after a start, and after one that showed that the model does not fit."""
LOG_LIMIT: Final = 256 * 1024


class Launcher:
    """Starts one address's host. Its methods return at once."""

    def __init__(self, address: HostAddress, *, starts: bool = True) -> None:
        """One that does not start any leaves that to somebody else."""
        self._address = address
        self._starts = starts
        self._not_before = 0.0
        self.process: subprocess.Popen[bytes] | None = None
        """The host that this launcher started last."""

    def ensure(self) -> bool:
        """Start a host unless one runs, starts, or was started just now; True if one was."""
        now = time.monotonic()
        if not self._starts or now < self._not_before:
            return False
        with alone(self._address) as free:
            if not free:
                return False
        self._not_before = now + AGAIN_S
        self.process = self._spawn()
        threading.Thread(target=self._mourn, args=(self.process,), name="lipsync-host", daemon=True).start()
        return True

    def _spawn(self) -> subprocess.Popen[bytes]:
        address = self._address
        arguments = (str(address.model), "--folder", str(address.folder), "--device", address.device)
        with log_file(address.log) as output:
            # Its own session: a signal to the group of the process that happens to be first is none for the host.
            # Its own output: the reader of this process's output would otherwise wait for the host's end.
            return subprocess.Popen(  # noqa: S603 - our own module
                (sys.executable, "-m", MODULE, *arguments),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def _mourn(self, process: "subprocess.Popen[bytes]") -> None:
        code = process.wait()
        if code == REFUSED:
            self._not_before = time.monotonic() + AFTER_REFUSAL_S
        if code:
            log.error("the lip-sync host ended with %d: %s", code, last_line(self._address.log))


def last_line(path: Path) -> str:
    """What a log says last; empty if there is none."""
    with contextlib.suppress(OSError):
        lines = path.read_text(errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "")
    return ""


def log_file(path: Path) -> IO[bytes]:
    """A log to be written on, emptied where it has grown too long."""
    file = path.open("ab")
    if file.tell() > LOG_LIMIT:
        os.ftruncate(file.fileno(), 0)
    return file
