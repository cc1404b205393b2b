"""A process logs one line a record on standard error, at its level."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

SCRIPT = """
import logging, sys
from runtime.log import configure_logging
logging.basicConfig(level="DEBUG", stream=sys.stdout)
configure_logging(sys.argv[1])
for name in ("api.app", "httpx", "s3fs"):
    for level in ("DEBUG", "INFO", "WARNING"):
        logging.getLogger(name).log(getattr(logging, level), "%s of %s", level, name)
"""


def logged(level: str) -> list[str]:
    """The lines that a process logs at a level; nothing goes to standard output, which a supervisor reads."""
    command = [sys.executable, "-c", SCRIPT, level]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == ""
    return [line.rsplit(": ", 1)[1] for line in done.stderr.splitlines()]


def test_the_level_holds_for_all_but_what_chatters() -> None:
    """HTTP clients log each request with its address: only their warnings are wanted, whatever the level."""
    warnings = ["WARNING of httpx", "WARNING of s3fs"]
    assert logged("INFO") == ["INFO of api.app", "WARNING of api.app", *warnings]
    assert logged("DEBUG") == ["DEBUG of api.app", "INFO of api.app", "WARNING of api.app", *warnings]
