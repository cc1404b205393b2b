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


IN_A_REQUEST = """
import logging
from runtime.log import configure_logging, request_id
configure_logging("INFO")
logging.getLogger("api.app").info("before")
request_id.set("req_7")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("api.app").exception("during")
"""


def test_a_line_names_its_request() -> None:
    """At the end of the first line, so that a stack trace stays what it is; outside of requests nothing is added."""
    command = [sys.executable, "-c", IN_A_REQUEST]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    first, second, *trace = done.stderr.splitlines()
    assert first.endswith("api.app: before")
    assert second.endswith("api.app: during [req_7]")
    assert not any("req_7" in line for line in trace)
