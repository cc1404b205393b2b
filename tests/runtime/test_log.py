"""A process logs one line a record on standard error, at its level."""

import json
import subprocess
import sys
from datetime import UTC, datetime
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
import logging, sys
from runtime.log import configure_logging
from telemetry.about import note
configure_logging("INFO", sys.argv[1], role="api")
logging.getLogger("api.app").info("before")
note(request_id="req_7", account_id="acct_1")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("api.app").exception("during")
"""


def in_a_request(form: str) -> list[str]:
    """The lines of a process that logs before a request and in it."""
    command = [sys.executable, "-c", IN_A_REQUEST, form]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    return done.stderr.splitlines()


def test_a_sentence_names_its_request() -> None:
    """At the end of the first line, so that a stack trace stays what it is; outside of requests nothing is added."""
    first, second, *trace = in_a_request("text")
    assert first.endswith("api.app: before")
    assert second.endswith("api.app: during [req_7]")
    assert trace[0].startswith("Traceback")
    assert not any("req_7" in line for line in trace)


def test_a_line_of_json_says_whose_it_is() -> None:
    """One object a line: the process's role and start on each, ids where there are any, a trace inside of it."""
    before, during = map(json.loads, in_a_request("json"))
    assert before.keys() == {"time", "level", "logger", "message", "role", "boot_id", "process"}
    assert (before["level"], before["logger"], before["message"], before["role"]) == (
        "INFO",
        "api.app",
        "before",
        "api",
    )
    assert datetime.fromisoformat(before["time"]).tzinfo is UTC
    assert (during["request_id"], during["account_id"], during["boot_id"]) == ("req_7", "acct_1", before["boot_id"])
    assert during["error"].startswith("Traceback")
    assert during["error"].endswith("ZeroDivisionError: division by zero")
