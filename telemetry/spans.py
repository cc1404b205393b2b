"""Spans by name. Without a tracer nothing is made, and OpenTelemetry is not even imported."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Final, Protocol

JOIN: Final = "avatar.join"
"""A media process enters its room: from the order to the acknowledged picture."""
CONNECT: Final = "avatar.connect"
"""In it: the room takes the avatar in."""
FIRST_FRAME: Final = "avatar.first_frame"
"""In it: the first picture is drawn and handed to the room."""
PUBLISH: Final = "avatar.publish"
"""In it: the room acknowledges sound and picture."""
SPEAK: Final = "avatar.speak"
"""An utterance, from its first sound at the avatar to the last that was played."""
OURS: Final = (JOIN, CONNECT, FIRST_FRAME, PUBLISH, SPEAK)
"""Besides these there are a span for each request, named `METHOD /route`, and those of Temporal's interceptor."""

Fact = str | int | float | bool


class Span(Protocol):
    """One span that has begun."""

    @property
    def trace_id(self) -> str:
        """Of its trace, 32 hexadecimal digits."""

    def name_it(self, name: str, **facts: Fact) -> None:
        """Give it its final name, and say more of it."""

    def fail(self, why: str) -> None:
        """Mark it as failed."""

    def end(self, at_ns: int | None = None) -> None:
        """End it, now or at a wall clock's time."""


class Tracing(Protocol):
    """What makes spans."""

    def serving(self, name: str, headers: Mapping[str, str]) -> AbstractContextManager[Span]:
        """The span of a request, current inside; the child of what its `traceparent` says."""

    def trace_id(self) -> str:
        """Of the span that is current here; empty where none is."""

    def begin(
        self, name: str, facts: Mapping[str, Fact], *, within: Span | None = None, began_ns: int | None = None
    ) -> Span:
        """A span below another, or below the one that is current here."""

    def close(self) -> None:
        """Send what is left, for two seconds at most."""


_active: list[Tracing] = []


def use(tracing: Tracing | None) -> None:
    """Trace from now on, or no longer. Of the whole process, as its log and its metrics are."""
    _active[:] = [tracing] if tracing else []


def active() -> Tracing | None:
    """What makes spans here; None where nothing is traced."""
    return _active[0] if _active else None
