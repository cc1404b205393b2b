"""How a process logs: one line a record on standard error."""

import logging

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


def configure_logging(level: str) -> None:
    """Send everything at `level` or above to standard error; the HTTP client's own chatter only from WARNING."""
    logging.basicConfig(level=level.upper(), format=FORMAT, force=True)
    for chatty in ("httpx", "httpcore", "botocore", "aiobotocore", "fsspec", "s3fs"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
