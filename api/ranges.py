"""Which bytes a request asks for, and whether it has them already (RFC 9110, sections 13 and 14); it serves none."""

import re

ONE_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.IGNORECASE)


def requested_bytes(header: str, size: int) -> range | None:
    """The positions that a Range header asks for of `size` bytes; None means all of them, an empty range none of them.

    All is also the answer to what is no single range of bytes: several at once, another unit, nonsense.
    """
    found = ONE_RANGE.fullmatch(header.strip())
    if not found or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        return range(max(size - int(last), 0), size)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)


def has_it(if_none_match: str, etag: str) -> bool:
    """Does an If-None-Match header name this entity tag, or any that there may be?"""
    named = [one.strip().removeprefix("W/") for one in if_none_match.split(",")]
    return etag in named or named == ["*"]
