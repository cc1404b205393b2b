"""What set-up reports about a part, and how it says that one is missing; it looks for nothing itself."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Tell = Callable[[str], None]
"""Takes one short sentence about what is going on now."""


class MissingPartError(Exception):
    """A part cannot be had on this machine; the message is one sentence that says what to install."""


@dataclass(frozen=True, kw_only=True)
class FoundPart:
    """One part that is ready for use."""

    name: str
    """What it is, for people."""

    path: Path
    """Where it lies."""

    version: str
    """Its version, or the beginning of its hash."""

    source: str
    """How it came here: `PATH`, `cache`, `built with Go`, `release archive`, `package index` or `package`."""
