"""What a data folder remembers between runs: keys, ports, and who runs it now; one run at a time."""

import base64
import contextlib
import fcntl
import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

FILE = "dev.json"
LEFTOVERS_WITHIN_S = 20.0
"""How long the processes of a killed run may take to end before the next one gives up."""


class DataFolderBusyError(Exception):
    """Another run uses the data folder; the message says which."""


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `dev.json`: secrets of this one machine, readable by its owner only."""

    api_key: str
    """The key of the local account."""

    server_keys: str
    """GREENROOM_SERVER_KEYS."""

    sealing_keys: str
    """GREENROOM_SEALING_KEYS."""

    livekit_api_key: str
    """The LiveKit server's key."""

    livekit_api_secret: str
    """Its secret."""

    webhook_keys: str = ""
    """GREENROOM_WEBHOOK_KEYS; folders of earlier versions get them when they are next used."""

    ports: dict[str, int] = {}
    """The ports of the last run."""


def load_memory(folder: Path) -> Memory:
    """What the folder remembers; made by the system's source of secrets on the first run."""
    path = folder / FILE
    if path.exists():
        memory = msgspec.json.decode(path.read_bytes(), type=Memory)
        if not memory.webhook_keys:
            memory = msgspec.structs.replace(memory, webhook_keys=f"dev:{_new_key()}")
            save_memory(folder, memory)
        return memory
    memory = Memory(
        api_key=f"gr_{secrets.token_urlsafe(32)}",
        server_keys=f"dev:{_new_key()}",
        sealing_keys=f"dev:{_new_key()}",
        webhook_keys=f"dev:{_new_key()}",
        livekit_api_key="greenroom",
        livekit_api_secret=secrets.token_hex(32),
    )
    save_memory(folder, memory)
    return memory


def save_memory(folder: Path, memory: Memory) -> None:
    """Write it in one step, mode 0600."""
    handle, name = tempfile.mkstemp(dir=folder, prefix=f".{FILE}.")  # mkstemp makes files of mode 0600
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(memory)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    Path(name).replace(folder / FILE)


def _new_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


@contextlib.contextmanager
def sole_use(folder: Path) -> Iterator[int]:
    """Hold the data folder; DataFolderBusyError while another run does. Gives the lock that children must inherit.

    Two locks: `run.lock` belongs to the supervisor alone, and says that a run is there. `parts.lock` is inherited by
    its children: after a kill -9 of the supervisor it is held until the last of them has let go of database and ports.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "run.lock").open("a+") as run, (folder / "parts.lock").open("a") as parts:
        if not _locked(run.fileno()):
            run.seek(0)
            raise DataFolderBusyError(f"{folder} is in use by process {run.read().strip() or 'unknown'}")
        run.truncate(0)
        run.write(str(os.getpid()))
        run.flush()
        deadline = time.monotonic() + LEFTOVERS_WITHIN_S
        while not _locked(parts.fileno()):
            if time.monotonic() > deadline:
                raise DataFolderBusyError(f"processes of an earlier run still use {folder}")
            time.sleep(0.05)
        yield parts.fileno()


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
