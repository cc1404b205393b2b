"""The one place where a refusal becomes a Temporal failure."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from domain.failures import OUR_FAULT, RETRYABLE, NotYet, Refused, TimeUsedUp, Unavailable

log = logging.getLogger(__name__)


@contextmanager
def translated() -> Iterator[None]:
    """Raise Refused as ApplicationError(type=code), retryable where its code says so.

    The cause is not passed on: its message may quote addresses and values, and a history is read by many.
    """
    try:
        yield
    except Refused as refusal:
        if isinstance(refusal, Unavailable):
            log.warning("a step will be tried again: %s", refusal)
        details = [refusal.details] if refusal.details else []
        at_fault = refusal.code in OUR_FAULT and not isinstance(refusal, NotYet)
        raise ApplicationError(
            refusal.message,
            *details,
            type=refusal.code,
            non_retryable=refusal.code not in RETRYABLE or isinstance(refusal, TimeUsedUp),
            # An answer is no fault: the SDK then logs no stack trace and counts no failure.
            category=ApplicationErrorCategory.UNSPECIFIED if at_fault else ApplicationErrorCategory.BENIGN,
        ) from None
