"""Prometheus's own tool, for tests of rules and names; a skip where it is not installed, a failure with CI=true."""

import shutil
import subprocess
from pathlib import Path

import pytest

from support.real_parts import missing


@pytest.fixture(scope="session")
def promtool() -> str:
    """The program. Debian has it in the package `prometheus`."""
    found = shutil.which("promtool")
    if found is None:
        missing("promtool is not installed; Debian has it in the package prometheus")
    return found


def run_promtool(program: str, *arguments: str | Path, given: str = "") -> tuple[int, str]:
    """Its exit status, and what it said."""
    command = [program, *map(str, arguments)]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr
