"""Who is the one host at an address: a lock on a file, which the system takes back from whoever dies."""

import contextlib
import fcntl
import time
from collections.abc import Iterator
from typing import IO, Final

from presence.renderers.lipsync.address import HostAddress

LOOK_AGAIN_S: Final = 0.02


@contextlib.contextmanager
def alone(address: HostAddress, within_s: float = 0.0) -> Iterator[bool]:
    """Hold the address while this lasts; False where another host has it."""
    with address.lock.open("ab") as file:
        deadline = time.monotonic() + within_s
        while not (held := _locked(file)) and time.monotonic() < deadline:
            time.sleep(LOOK_AGAIN_S)
        yield held


def _locked(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
