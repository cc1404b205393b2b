"""Pages of a list that grows at its head: a cursor says after which entry the next page begins."""

import base64
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from domain.failures import FailureCode, Refused

DEFAULT_LIMIT = 100
MOST = 500
"""Entries of a page."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR = re.compile(r"([0-9]{1,15})\.([0-9A-Za-z_-]{1,100})")


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where an entry stands in a list that goes by time, newest first, and then by id."""

    at: datetime
    entry_id: str


def cursor_of(position: Position) -> str:
    """The position as text that fits into an address. It tells nothing that the entry did not tell."""
    milliseconds = (position.at - _EPOCH) // timedelta(milliseconds=1)
    return base64.urlsafe_b64encode(f"{milliseconds}.{position.entry_id}".encode()).decode().rstrip("=")


def position_of(cursor: str) -> Position:
    """The position that a cursor stands for; INVALID_REQUEST for text that is none.

    A made-up cursor does no harm: whose entries are listed is not its business.
    """
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
        parts = _CURSOR.fullmatch(text)
        at = parts and _EPOCH + timedelta(milliseconds=int(parts[1]))
    except (ValueError, OverflowError):
        parts = at = None
    if parts is None or at is None:
        raise Refused(FailureCode.INVALID_REQUEST, "cursor: not a cursor that a list has answered with")
    return Position(at=at, entry_id=parts[2])


def limit_of(asked: int | None) -> int:
    """How many entries a page has; INVALID_REQUEST outside of 1 to 500."""
    if asked is None:
        return DEFAULT_LIMIT
    if not 1 <= asked <= MOST:
        raise Refused(FailureCode.INVALID_REQUEST, f"limit: must be a whole number from 1 to {MOST}")
    return asked
