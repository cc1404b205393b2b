"""Cursors and limits of lists: what goes out comes back, and what never went out is refused."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.failures import FailureCode, Refused
from domain.paging import Position, cursor_of, limit_of, position_of

AT = datetime(2026, 11, 27, 1, 2, 3, 456_000, tzinfo=UTC)


@pytest.mark.parametrize("entry_id", ["sess_01M824TAD8Z637WKJ4ZA1YGA1H", "a", "x" * 100])
@pytest.mark.parametrize("at", [AT, datetime(1970, 1, 1, tzinfo=UTC), AT + timedelta(milliseconds=1)])
def test_a_cursor_is_its_position(at: datetime, entry_id: str) -> None:
    """It fits into an address as it is."""
    cursor = cursor_of(Position(at=at, entry_id=entry_id))
    assert cursor.replace("-", "").replace("_", "").isalnum()
    assert position_of(cursor) == Position(at=at, entry_id=entry_id)


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "=",
        "-",
        "é",
        "MTIz",
        "LnNlc3M",
        "MTIzLg",
        "LTEuYQ",
        "a" * 5000,
        "OTk5OTk5OTk5OTk5OTk5OTk5OS5h",
        "MTIzLmEgYg",
    ],
)
def test_other_text_is_no_cursor(cursor: str) -> None:
    """Cut off, made up, or far longer than any cursor."""
    with pytest.raises(Refused) as refusal:
        position_of(cursor)
    assert refusal.value.code == FailureCode.INVALID_REQUEST
    assert refusal.value.message.startswith("cursor")


def test_a_page_has_a_size() -> None:
    """1 to 500, 100 where nobody asks."""
    assert (limit_of(None), limit_of(1), limit_of(500)) == (100, 1, 500)
    for asked in (0, -1, 501):
        with pytest.raises(Refused) as refusal:
            limit_of(asked)
        assert refusal.value.code == FailureCode.INVALID_REQUEST
