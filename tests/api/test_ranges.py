"""Ranges and entity tags as clients write them."""

import pytest

from api.ranges import has_it, requested_bytes


@pytest.mark.parametrize(
    ("header", "positions"),
    [
        ("bytes=0-0", range(1)),
        ("bytes=2-5", range(2, 6)),
        ("bytes=2-", range(2, 10)),
        ("bytes=8-99", range(8, 10)),
        ("bytes=-3", range(7, 10)),
        ("bytes=-99", range(10)),
        ("BYTES=1-2 ", range(1, 3)),
    ],
)
def test_one_range_is_a_part(header: str, positions: range) -> None:
    """First to last, from one on, and the last so many; what lies behind the end is left out."""
    assert requested_bytes(header, 10) == positions


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-12", "bytes=99-100", "bytes=-0"])
def test_what_lies_behind_the_end_is_none(header: str) -> None:
    """Not one byte of the picture is asked for."""
    positions = requested_bytes(header, 10)
    assert positions is not None
    assert not positions


@pytest.mark.parametrize(
    "header",
    ["", "bytes=", "bytes=-", "bytes=5-2", "bytes=0-1,4-5", "bytes=a-b", "items=0-1", "0-1", f"bytes={'9' * 5000}-"],
)
def test_what_is_no_single_range_is_all(header: str) -> None:
    """A Range header that is not understood counts as none, as the RFC has it."""
    assert requested_bytes(header, 10) is None


@pytest.mark.parametrize("header", ['"a"', 'W/"a"', '"b", "a"', "*", ' "a" '])
def test_a_tag_that_is_named_is_had(header: str) -> None:
    """Alone, in a list, weak, or any."""
    assert has_it(header, '"a"')


@pytest.mark.parametrize("header", ["", '"b"', "a", '"ab"', '*, "b"'])
def test_another_tag_is_not_had(header: str) -> None:
    """Nothing named, something else named, and what is no tag."""
    assert not has_it(header, '"a"')
