"""A server of somebody else that a test runs: started, waited for, ended at once, and with the test at the latest."""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from runtime.lifeline import VARIABLE, Lifeline, new_lifeline
from runtime.supervision.part import foreign_part

START_WITHIN_S = 30.0
ROOT = Path(__file__).parents[2]


class LoopbackServer:
    """Its process, which can be killed and started again."""

    def __init__(self, name: str) -> None:
        """`name` is what an error calls it."""
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline: Lifeline | None = None

    def start(
        self,
        binary: Path,
        arguments: Sequence[str],
        *,
        serves: Callable[[], bool],
        environ: Mapping[str, str] | None = None,
        through: Sequence[str] = (),
    ) -> None:
        """Start it, and wait until it `serves`. `through`: what the command begins with, as on another machine."""
        self._lifeline = new_lifeline()
        self._process = subprocess.Popen(
            [*through, *foreign_part(str(binary), *arguments, end="KILL")],
            cwd=ROOT,
            env={"PATH": os.defpath, **(environ or {}), VARIABLE: str(self._lifeline.reading)},
            pass_fds=(self._lifeline.reading,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_WITHIN_S
        while not serves():
            if time.monotonic() > deadline or self._process.poll() is not None:
                self.kill()
                raise RuntimeError(f"the {self._name} did not start")
            time.sleep(0.02)

    def kill(self) -> bool:
        """End it at once; whether it ran."""
        if self._process is None or self._lifeline is None:
            return False
        self._lifeline.cut()
        self._process.wait()
        self._process = self._lifeline = None
        return True


def is_open(host: str, port: int) -> bool:
    """Does somebody take connections there?"""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False
