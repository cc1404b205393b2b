"""What the present task is about: the ids that its log lines carry. Knows no format."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Final

NAMES: Final = ("request_id", "account_id", "session_id", "workflow_id", "run_id", "activity", "generation", "trace_id")
"""Every id that a line may carry, in the order in which it does."""

_about: ContextVar[Mapping[str, str]] = ContextVar("about", default=MappingProxyType({}))
_process: dict[str, str] = {}


def about() -> Mapping[str, str]:
    """The ids that are known here and now."""
    return _about.get()


def note(**ids: str) -> None:
    """Let the rest of this task, and the tasks that it starts, carry these ids too."""
    _about.set({**_about.get(), **ids})


@contextmanager
def noting(**ids: str) -> Iterator[None]:
    """Carry these ids, and whatever is noted inside, until the block is left."""
    before = _about.set({**_about.get(), **ids})
    try:
        yield
    finally:
        _about.reset(before)


def describe_process(**facts: str) -> None:
    """Say what every line of this process carries: its role, and the id of this start."""
    _process.update(facts)


def process() -> Mapping[str, str]:
    """What was said of this process."""
    return _process
