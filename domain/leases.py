"""Leases: who holds a slot of an avatar server, under which generation."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Lease:
    """A slot of one boot of one avatar server, held for one session."""

    session_id: str
    generation: int
    """Fencing number: grows with each lease of the session; the holder of an older one is refused."""
    boot_id: str
    server: str
    """The server's name, for people."""
    queue: str
    """The task queue of that boot."""


@dataclass(frozen=True, kw_only=True)
class LeaseSight:
    """What one look at a lease row shows."""

    held: bool
    renewals: int
    """How often the server has renewed it; two looks at the same number 1.5 s apart mean that the server is lost."""
    served_ms: int
    boot_id: str = ""
    """The server that has it; empty for a lease that never was."""


@dataclass(frozen=True, kw_only=True)
class Serving:
    """What an avatar server says of one session when it renews."""

    session_id: str
    generation: int
    served_ms: int
    """Milliseconds since the first published frame, by the media process's monotonic clock."""


@dataclass(frozen=True, kw_only=True)
class Stop:
    """When a session ends by itself, and as what."""

    in_s: float
    """Seconds from now, by the database; negative once it should have ended."""
    reason: str


@dataclass(frozen=True, kw_only=True)
class ControlSocket:
    """Where a session's control socket ends."""

    address: str
    """Of the API process that has it."""
    number: int
    """Grows each time a client connects."""


@dataclass(frozen=True, kw_only=True)
class RenewalAnswer:
    """What the database answers to a renewal."""

    known: bool
    """False where the server's own row is gone: it must register under a new boot id."""
    held: frozenset[tuple[str, int]]
    """The (session, generation) pairs that still hold; a process for any other must leave its room."""
    stops: Mapping[tuple[str, int], Stop] = field(default_factory=dict)
    """When those that hold end by themselves."""
    controls: Mapping[tuple[str, int], ControlSocket] = field(default_factory=dict)
    """The control sockets of those that hold and have, or had, one."""
