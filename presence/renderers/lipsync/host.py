"""The host process: one model, one GPU, every talking session of the machine in one batch; it never outstays its users.

`python -m presence.renderers.lipsync.host MODEL --folder FOLDER` listens until nobody has been there for 10 s, or
until SIGTERM. A second one for the same model ends at once. With `--check` it only says whether the model fits.
"""

import argparse
import contextlib
import logging
import math
import os
import selectors
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

from presence.renderers.lipsync import wire
from presence.renderers.lipsync.address import REFUSED, HostAddress, address_of
from presence.renderers.lipsync.gathering import Gathering
from presence.renderers.lipsync.locking import alone
from presence.renderers.lipsync.model import LipsyncModel, ModelUnavailable

log = logging.getLogger("presence.renderers.lipsync.host")

IDLE_S: Final = 10.0
BACKLOG: Final = 64


class Model(Protocol):
    """What the host needs of a model."""

    @property
    def most(self) -> int:
        """Tracks that one call serves."""

    def mouths(self, mels: Sequence[wire.Floats], faces: Sequence[wire.Floats]) -> wire.Floats:
        """Mouths (n, 3, 96, 96) of n windows and faces."""


class _Seat:
    """One track, as the host sees it."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.connection = connection
        self.waits = False
        memory = wire.new_memory()
        try:
            self.frame = wire.SharedFrame(memory)
            socket.send_fds(connection, [wire.HELLO], [memory])
        finally:
            os.close(memory)


class Host:
    """Serves tracks that come and go. One thread does everything: the model is busy or it waits."""

    def __init__(self, listener: socket.socket, model: Model, *, idle_s: float = IDLE_S) -> None:
        listener.setblocking(False)
        self._listener, self._model, self._idle_s = listener, model, idle_s
        self._seats: set[_Seat] = set()
        self._gathering: Gathering[_Seat] = Gathering(model.most)
        self._left_at = time.monotonic()
        self.batches: Counter[int] = Counter()
        """How many batches there were of each size."""

    def run(self) -> None:
        """Serve until nobody has been here for `idle_s`. Raises what the model raises."""
        with selectors.DefaultSelector() as self._selector:
            self._selector.register(self._listener, selectors.EVENT_READ)
            try:
                while self._seats or time.monotonic() - self._left_at < self._idle_s:
                    self._step()
            finally:
                for seat in list(self._seats):
                    self._drop(seat)

    def _step(self) -> None:
        now = time.monotonic()
        wait_s = self._gathering.wait_s(now)
        if wait_s is None and not self._seats:
            wait_s = None if math.isinf(self._idle_s) else max(self._left_at + self._idle_s - now, 0.0)
        for key, _ in self._selector.select(wait_s):
            if key.data is None:
                self._admit()
            else:
                self._hear(key.data)
        if self._gathering.wait_s(time.monotonic()) == 0:
            self._serve()

    def _admit(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:  # it left while it waited, or there are too many open files
            return
        try:
            seat = _Seat(connection)
        except OSError as error:
            log.warning("a track cannot be admitted: %s", error)
            connection.close()
            return
        self._seats.add(seat)
        self._selector.register(connection, selectors.EVENT_READ, seat)

    def _hear(self, seat: _Seat) -> None:
        try:
            word = seat.connection.recv(len(wire.ASK) + 1)
        except OSError:
            word = b""
        if word == wire.ASK and not seat.waits:
            seat.waits = True
            self._gathering.add(seat, time.monotonic())
        else:
            self._drop(seat)

    def _serve(self) -> None:
        seats = self._gathering.take()
        mouths = self._model.mouths([seat.frame.mel for seat in seats], [seat.frame.face for seat in seats])
        self.batches[len(seats)] += 1
        for seat, mouth in zip(seats, mouths, strict=True):
            seat.frame.mouth[:] = mouth
            seat.waits = False
            try:
                seat.connection.send(wire.ANSWER.pack(len(seats)))
            except OSError:
                self._drop(seat)

    def _drop(self, seat: _Seat) -> None:
        self._selector.unregister(seat.connection)
        seat.connection.close()
        self._seats.discard(seat)
        self._gathering.drop(seat)
        self._left_at = time.monotonic()


@contextlib.contextmanager
def listening(address: HostAddress) -> Iterator[socket.socket]:
    """A socket at the address, which is gone afterwards. Whatever a killed host left there is replaced.

    It gets its name when it listens: nobody finds a socket that refuses.
    """
    unnamed = address.socket.with_suffix(".new")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        try:
            unnamed.unlink(missing_ok=True)
            listener.bind(str(unnamed))
            listener.listen(BACKLOG)
            unnamed.rename(address.socket)
            yield listener
        finally:
            unnamed.unlink(missing_ok=True)
            address.socket.unlink(missing_ok=True)


def serve(address: HostAddress, *, threads: int, idle_s: float) -> None:
    """Load the model and serve it. Raises ModelUnavailable."""
    # A track that looks whether there is a host holds the lock for a moment, too.
    with alone(address, within_s=0.2) as free:
        if not free:
            return
        model = LipsyncModel(address.model, device=address.device, threads=threads)
        with listening(address) as listener:
            host = Host(listener, model, idle_s=idle_s)
            log.info("%s is ready on %s", address.model.name, model.provider)
            try:
                host.run()
            finally:
                served = sum(size * count for size, count in host.batches.items())
                log.info("%d mouths in %d batches, by size: %s", served, host.batches.total(), dict(host.batches))


def _stop(number: int, _: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second one would break off the tidying up
    sys.exit(0)


def main() -> int:
    """The command line. 0 at the end, 3 where the model does not fit."""
    parser = argparse.ArgumentParser(prog="presence.renderers.lipsync.host", description="Host of one lip-sync model.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--folder", type=Path, help="where to listen; nobody else may enter it")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, default=0, help="on the CPU; 0 is half of the cores")
    parser.add_argument("--idle", type=float, default=IDLE_S, help="seconds to stay without a session; 0: always")
    parser.add_argument("--check", action="store_true", help="load and try the model, and end")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    try:
        if given.check:
            model = LipsyncModel(given.model, device=given.device, threads=given.threads)
            log.info("%s fits, on %s", given.model.name, model.provider)
        else:
            address = address_of(given.model, given.device, given.folder)
            serve(address, threads=given.threads, idle_s=given.idle or math.inf)
    except (ModelUnavailable, ValueError) as error:
        log.error("%s", error)  # noqa: TRY400 - the sentence is all there is to say
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
