"""`python postgresql_keeper.py FOLDER PROGRAMS PORT [SETTING=VALUE ...]`: keeps one PostgreSQL, leaves nothing of it.

Standard library only. It reads a password, then orders (`start`, `stop`, `kill`), each a line, and answers each; it
ends with its input, which the kernel closes however the parent dies.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

USER = "greenroom"
LOOPBACK = "127.0.0.1"
NOBODY = 65534
START_WITHIN_S = 30.0
PR_SET_PDEATHSIG = 1
ORDERS = {"stop": signal.SIGINT, "kill": signal.SIGKILL}

SETTINGS = {  # of servers for tests, which lose nothing worth keeping
    "max_connections": "200",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",  # it would sit in a database that is to be copied
    "shared_buffers": "32MB",
    "io_method": "sync",
    "scram_iterations": "16",  # each test connects anew
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
}
UNKNOWN_BEFORE_18 = {"io_method"}


def as_nobody() -> dict[str, Any]:
    """How to start PostgreSQL's programs: they refuse root, so root starts them as nobody."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


def make(folder: Path, programs: Path, password: str, address: str) -> None:
    """A new cluster in `folder`, which lets everybody in who has a password and can reach its address."""
    data, secret = folder / "data", folder / "password"
    data.mkdir(mode=0o700)
    secret.write_text(password)
    if os.geteuid() == 0:
        os.chown(data, NOBODY, NOBODY)
        os.chown(secret, NOBODY, NOBODY)
    flags = ["--no-sync", "--no-locale", "--no-instructions", "--encoding", "UTF8", "--auth", "scram-sha-256"]
    flags += ["--username", USER, "--pwfile", str(secret), "--set", f"scram_iterations={SETTINGS['scram_iterations']}"]
    command = [str(programs / "initdb"), "--pgdata", str(data), *flags]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False, **as_nobody())
    secret.unlink()
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    if address != LOOPBACK:
        with (data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all all scram-sha-256\n")


def start(folder: Path, programs: Path, settings: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """A server that takes connections.

    Where the one before was killed its other processes may still hold its memory: then it is tried again.
    """
    deadline = time.monotonic() + START_WITHIN_S
    while True:
        server = launch(folder, programs, settings)
        while not _is_up(folder, server.pid):
            late = time.monotonic() > deadline
            if late:
                server.kill()
                raise RuntimeError((folder / "log").read_text(errors="replace")[-2000:])
            if server.poll() is not None:
                break
            time.sleep(0.01)
        else:
            return server
        time.sleep(0.1)


def launch(folder: Path, programs: Path, settings: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """The server's first process."""
    unknown = set() if (folder / "data" / "PG_VERSION").read_text().strip() >= "18" else UNKNOWN_BEFORE_18
    flags = [f"--{name}={value}" for name, value in settings.items() if name not in unknown]
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [str(programs / "postgres"), "-D", str(folder / "data"), *flags],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=_end_with_the_keeper,  # noqa: PLW1509 - this process has one thread
            **as_nobody(),
        )


def _end_with_the_keeper() -> None:
    """Ask the kernel to end the server when its keeper is killed (Linux). In the child: a change of user clears it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT, 0, 0, 0)


def _is_up(folder: Path, pid: int) -> bool:
    """The server's file begins with its process, which tells it from a killed one's, and ends with its state."""
    with contextlib.suppress(OSError):
        lines = (folder / "data" / "postmaster.pid").read_text().split()
        return lines[:1] == [str(pid)] and lines[-1] == "ready"
    return False


def obey(folder: Path, programs: Path, settings: Mapping[str, str], orders: Iterable[str]) -> None:
    """One answer an order, until there are no more; the server is gone when this returns."""
    server: subprocess.Popen[bytes] | None = None
    try:
        for line in orders:
            if (order := line.strip()) == "start":
                server = start(folder, programs, settings)
            elif server is not None:
                server.send_signal(ORDERS[order])
                server.wait()
            print(server.pid if server else 0, flush=True)  # noqa: T201 - read by who started us
    finally:
        if server is not None and server.poll() is None:
            server.send_signal(signal.SIGQUIT)
            server.wait()


def main(folder: Path, programs: Path, port: str, changes: Iterable[str] = ()) -> None:
    """Make a cluster and serve it until the input ends; `changes` are settings that differ from ours."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        settings = {**SETTINGS, "port": port, **dict(change.split("=", 1) for change in changes)}
        make(folder, programs, sys.stdin.readline().strip(), settings["listen_addresses"])
        print(0, flush=True)  # noqa: T201
        obey(folder, programs, settings, sys.stdin)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4:])
