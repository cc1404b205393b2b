"""Requests whose JSON bodies are hostile in ways that the decoder has no word for. Everything else is Litestar's."""

from typing import Any

from litestar import Request
from litestar.datastructures import State
from litestar.exceptions import SerializationException

UNREADABLE = (UnicodeDecodeError, RecursionError)
"""What msgspec raises, beside its own errors, for text that is not UTF-8 and for lists within lists within lists."""


class JSONRequest(Request[Any, Any, State]):
    """A request that fails to be read as JSON in one way only."""

    async def json(self) -> Any:
        """The decoded body; SerializationException where it cannot be decoded."""
        try:
            return await super().json()
        except UNREADABLE as error:
            raise SerializationException("the body is not JSON") from error
