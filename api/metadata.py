"""A session's metadata: any JSON object that a workflow's input and a row can carry."""

from typing import Any

import msgspec
from msgspec import UnsetType

from domain.failures import FailureCode, Refused

MAX_BYTES = 256 * 2**10
"""As JSON. Temporal takes 2 MB in all, and everything in a history is read again with it."""
MAX_DEPTH = 64
"""Objects and lists within each other. Encoders give up at some hundreds."""


def check_metadata(metadata: dict[str, Any] | UnsetType) -> dict[str, Any]:
    """The metadata, `{}` where none was sent; INVALID_METADATA where it is too large or too deep."""
    if isinstance(metadata, UnsetType):
        return {}
    if not is_shallow(metadata, MAX_DEPTH):
        details = {"max_depth": MAX_DEPTH}
        raise Refused(FailureCode.INVALID_METADATA, "metadata is nested too deeply", details=details)
    size = len(msgspec.json.encode(metadata))
    if size > MAX_BYTES:
        details = {"bytes": size, "max_bytes": MAX_BYTES}
        raise Refused(FailureCode.INVALID_METADATA, "metadata is too large", details=details)
    return metadata


def is_shallow(value: Any, levels: int) -> bool:
    """Does the value nest objects and lists at most `levels` deep?"""
    if not isinstance(value, dict | list):
        return True
    parts = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(is_shallow(part, levels - 1) for part in parts)
