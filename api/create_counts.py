"""Counts creates by what they were answered, and where a refusal came up."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from domain.failures import FailureCode, Refused
from telemetry.metrics import CREATE_SECONDS, CREATES

IN_REQUEST: Final = "request"
"""Before the session's workflow was asked."""
IN_TEMPORAL: Final = "temporal"
"""It was asked, and did not say which step it failed in."""
STARTED: Final = "started"
REPEATED: Final = "repeated"


@dataclass
class CreateCount:
    """One create."""

    repeated: bool = False
    """It is answered as an earlier request was."""


@contextmanager
def counted() -> Iterator[CreateCount]:
    """Count what the block comes to: a session, or the code that it is refused with."""
    count, began = CreateCount(), time.monotonic()
    try:
        yield count
    except Refused as refusal:
        CREATES.labels(refusal.code, refusal.stage or IN_REQUEST).inc()
        raise
    except Exception:
        CREATES.labels(FailureCode.INTERNAL_ERROR, IN_REQUEST).inc()
        raise
    CREATES.labels(REPEATED if count.repeated else STARTED, "").inc()
    if not count.repeated:
        CREATE_SECONDS.observe(time.monotonic() - began)


@contextmanager
def staged(stage: str) -> Iterator[None]:
    """Say of refusals that leave the block where they came up, unless they say so themselves."""
    try:
        yield
    except Refused as refusal:
        refusal.stage = refusal.stage or stage
        raise
