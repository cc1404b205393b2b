"""How a process logs: one line a record on standard error."""

import logging
from contextvars import ContextVar

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that is being answered; empty outside of requests."""


class RequestFormatter(logging.Formatter):
    """Names the request at the end of the first line."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """The line, with the request's id where there is one."""
        line = super().formatMessage(record)
        mine = request_id.get()
        return f"{line} [{mine}]" if mine else line


def configure_logging(level: str) -> None:
    """Send everything at `level` or above to standard error; the HTTP client's own chatter only from WARNING."""
    handler = logging.StreamHandler()
    handler.setFormatter(RequestFormatter(FORMAT))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("httpx", "httpcore", "botocore", "aiobotocore", "fsspec", "s3fs"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
