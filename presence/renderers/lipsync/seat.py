"""A track's seat at the host: asks, waits no longer than it is told, and knows when nobody answers; raises nothing."""

import logging
import os
import select
import socket
import time
from collections.abc import Callable
from pathlib import Path

from presence.renderers.lipsync import wire

log = logging.getLogger(__name__)

RETRY_S = 0.5
"""Where nobody listens, another try is made so much later."""


class Seat:
    """One connection with the host, made and renewed when a mouth is wanted. Deadlines are times of `monotonic`."""

    def __init__(self, path: Path, face: wire.Floats, missed: Callable[[], object]) -> None:
        """`missed` is called where nobody listens."""
        self._path, self._face, self._missed = path, face, missed
        self._connection: socket.socket | None = None
        self._frame: wire.SharedFrame | None = None
        self._late: wire.Floats | None = None
        self._not_before = 0.0
        self._lost = self._met = False
        self.waiting = False
        """Whether an answer is under way."""
        self.served = 0
        """Mouths that came."""
        self.together = 0
        """How many tracks were served together when the last one came."""

    @property
    def connected(self) -> bool:
        """Whether the host is there, as far as is known."""
        return self._frame is not None

    def reach(self, deadline: float) -> bool:
        """Come to the host, if it is there: it gives a track its memory when it has the time. True with it."""
        if self._connection is None and time.monotonic() >= self._not_before:
            self._connect()
        if self._connection is not None and self._frame is None and _readable(self._connection, deadline):
            self._be_greeted(self._connection)
        return self.connected

    def ask(self, mel: wire.Floats, deadline: float) -> None:
        """Ask for a window's mouth. While an older answer is still under way, that one is waited for instead."""
        self._late = self._fetch(0.0)
        if self.waiting or not self.reach(deadline) or self._connection is None or self._frame is None:
            return
        self._frame.mel[:] = mel
        try:
            self._connection.send(wire.ASK)
            self.waiting = True
        except OSError:
            self._lose()

    def answer(self, deadline: float) -> wire.Floats | None:
        """The mouth (3, 96, 96) that was asked for, or else one that came too late for its own frame; None without."""
        late, self._late = self._late, None
        mouth = self._fetch(deadline)
        return late if mouth is None else mouth

    def forget(self) -> None:
        """No answer to an earlier question comes any more."""
        if self.waiting:
            self.close()

    def close(self) -> None:
        """Leave the host. A later question comes back to it."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._frame = self._late = None
        self.waiting = False

    def _fetch(self, deadline: float) -> wire.Floats | None:
        if not self.waiting or self._connection is None or self._frame is None:
            return None
        word = self._receive(deadline)
        if word is None:
            return None
        self.waiting = False
        if len(word) != wire.ANSWER.size:
            self._lose()
            return None
        self.served += 1
        (self.together,) = wire.ANSWER.unpack(word)
        return self._frame.mouth.copy()

    def _receive(self, deadline: float) -> bytes | None:
        assert self._connection is not None  # noqa: S101 - asked before
        if not _readable(self._connection, deadline):
            return None
        try:
            return self._connection.recv(wire.ANSWER.size)
        except OSError:
            return b""

    def _connect(self) -> None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            connection.connect(str(self._path))
        except OSError:
            connection.close()
            self._lose()
        else:
            self._connection = connection

    def _be_greeted(self, connection: socket.socket) -> None:
        try:
            self._frame = _handed_over(connection)
        except OSError:
            self._lose()
            return
        self._frame.face[:] = self._face
        if self._lost:
            log.info("the lip-sync host is there: the mouth moves")
        self._lost, self._met = False, True

    def _lose(self) -> None:
        if not self._lost:
            level = logging.WARNING if self._met else logging.INFO
            log.log(level, "the lip-sync host does not answer: the portrait stands still until it does")
        self._lost = True
        self.close()
        self._not_before = time.monotonic() + RETRY_S
        self._missed()


def _readable(connection: socket.socket, deadline: float) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(max(deadline - time.monotonic(), 0.0) * 1000))


def _handed_over(connection: socket.socket) -> wire.SharedFrame:
    """The memory that the host hands over. OSError if it hung up, or another program answers."""
    word, descriptors, _, _ = socket.recv_fds(connection, len(wire.HELLO), 1)
    try:
        if word != wire.HELLO or not descriptors:
            raise ConnectionError
        return wire.SharedFrame(descriptors[0])
    except ValueError as error:  # too small
        raise ConnectionError from error
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
