"""How a process logs: one line a record on standard error, JSON or sentences."""

import logging
import os
import uuid

from telemetry.about import describe_process
from telemetry.log_lines import JsonLines, Sentences

CHATTY = ("httpx", "httpcore", "botocore", "aiobotocore", "fsspec", "s3fs", "urllib3", "opentelemetry")


def configure_logging(level: str, form: str = "text", *, role: str = "") -> None:
    """Send everything at `level` or above to standard error; the HTTP clients' own chatter only from WARNING.

    `form` is `json` or `text`; with a `role`, each line of JSON names it, and this start of the process.
    """
    if role:
        describe_process(role=role, boot_id=uuid.uuid4().hex[:16], process=str(os.getpid()))
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else Sentences())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)
