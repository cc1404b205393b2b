"""Finds every process of one run by its environment mark GREENROOM_RUN, grandchildren included; it kills none."""

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

MARK = "GREENROOM_RUN"
LISTENING = "0A"


@dataclass(frozen=True, kw_only=True)
class MarkedProcess:
    """One living process of a run."""

    pid: int
    command: str


def marked(run: str) -> list[MarkedProcess]:
    """The living processes that were started with this mark; zombies do not count, nor does the caller."""
    needle = f"{MARK}={run}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            marks = (folder / "environ").read_bytes().split(b"\0")
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue  # it ended while we looked
        if needle in marks and int(folder.name) != os.getpid():
            found.append(MarkedProcess(pid=int(folder.name), command=command))
    return found


def left_after(run: str, within_s: float) -> list[MarkedProcess]:
    """What is still alive of a run when everything ended, or when `within_s` seconds are over."""
    deadline = time.monotonic() + within_s
    while (found := marked(run)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


def gone_within(pid: int, within_s: float) -> bool:
    """Whether a process has ended within so many seconds."""
    deadline = time.monotonic() + within_s
    while is_alive(pid):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True


def environ_of(pid: int) -> str:
    """The environment a process was started with, as one text."""
    return Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")


def listening_addresses(run: str) -> list[str]:
    """The address, in the kernel's hexadecimal, of each TCP socket on which a process of the run listens."""
    links = set()
    for process in marked(run):
        for link in Path(f"/proc/{process.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                links.add(str(link.readlink()))
    rows = [row.split() for family in ("tcp", "tcp6") for row in _rows(family)]
    return [row[1].partition(":")[0] for row in rows if row[3] == LISTENING and f"socket:[{row[9]}]" in links]


def _rows(family: str) -> list[str]:
    return Path(f"/proc/net/{family}").read_text().splitlines()[1:]


def mark_of(supervisor: int) -> str:
    """The mark of the run whose supervisor has this number, read from one of its children."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            status = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            if int(status[1]) == supervisor:
                for line in (folder / "environ").read_bytes().split(b"\0"):
                    if line.startswith(f"{MARK}=".encode()):
                        return line.partition(b"=")[2].decode()
    raise LookupError(f"process {supervisor} has no marked child")
