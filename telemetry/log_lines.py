"""A log record as one line: JSON for machines, a sentence for people. Secrets are taken out of both."""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from telemetry.about import NAMES, about, process
from telemetry.redaction import Redactor, clean

IDS: Final = "ids"
"""The `extra` by which a record brings ids of its own: a mapping of text."""
_OF_TEMPORAL: Final = {"workflow_id": "workflow_id", "run_id": "run_id", "workflow_run_id": "run_id"}


class JsonLines(logging.Formatter):
    """`time`, `level`, `logger`, `message`, what is known of process and task, and `error` with a stack trace."""

    def format(self, record: logging.LogRecord) -> str:
        """One line without secrets."""
        line: dict[str, Any] = {
            "time": _moment(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **process(),
            **ids_of(record),
        }
        if record.exc_info or record.exc_text or record.stack_info:
            line["error"] = _trace(self, record)
        return clean(json.dumps(line, ensure_ascii=False, default=str))


class Sentences(logging.Formatter):
    """Time, level, logger and message; ids that the message does not name follow at the end of its first line."""

    def __init__(self, line: str = "%(asctime)s %(levelname)-7s %(name)s: %(message)s") -> None:
        super().__init__(line)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """The line, with the ids that are known."""
        line = super().formatMessage(record)
        ids = ids_of(record)
        named = [ids[name] for name in ("request_id", "session_id", "activity") if ids.get(name)]
        missing = " ".join(one for one in named if one not in line)
        return f"{line} [{missing}]" if missing else line

    def format(self, record: logging.LogRecord) -> str:
        """The record as text without secrets."""
        return clean(super().format(record))


class ChildLines(logging.Formatter):
    """What a media process writes for its parent, which adds the ids: level, logger, message, error."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON without the session's secrets."""
        line = {"level": record.levelname, "logger": record.name, "message": record.getMessage()}
        if record.exc_info or record.exc_text or record.stack_info:
            line["error"] = _trace(self, record)
        return self._redactor.clean(json.dumps(line, ensure_ascii=False, default=str))


def ids_of(record: logging.LogRecord) -> dict[str, str]:
    """Every id that a record carries: its task's, then what Temporal's loggers know, then its own."""
    found = dict(about())
    for source in ("temporal_workflow", "temporal_activity"):
        told = record.__dict__.get(source)
        if isinstance(told, Mapping):
            found |= {ours: str(told[name]) for name, ours in _OF_TEMPORAL.items() if told.get(name)}
    workflow = found.get("workflow_id", "")
    if workflow.startswith("sess_"):
        found.setdefault("session_id", workflow)
    own = record.__dict__.get(IDS)
    if isinstance(own, Mapping):
        found |= {str(name): str(value) for name, value in own.items()}
    return {name: found[name] for name in (*NAMES, "pid") if found.get(name)}


def _moment(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = [record.exc_text or (formatter.formatException(record.exc_info) if record.exc_info else "")]
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(filter(None, parts))
