"""What operators' workflows take, tell while they run, and answer. Their ids say what they do, so twice is once."""

from datetime import datetime
from hashlib import sha256
from typing import Any, TypeVar

import msgspec

from domain.selections import Selection
from domain.session import EndReason

One = TypeVar("One", bound=msgspec.Struct)

LINES_KEPT = 200
"""So many lines of what was told are kept for whoever follows."""
BATCH = 20
"""Sessions that one step deals with."""


def changed(value: One, **changes: Any) -> One:
    """The same with other fields."""
    return msgspec.structs.replace(value, **changes)


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far an operation is; goes with it from run to run."""

    done: int = 0
    """Sessions that have been dealt with."""
    left: int = 0
    """Those that were found and are still there."""
    troubles: int = 0
    """Attempts that came to nothing."""
    told: int = 0
    """Lines that were told, those included that are kept no more."""
    lines: tuple[str, ...] = ()
    """The last of them."""


class OperationOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """How an operation closed."""

    title: str
    progress: Progress
    receipt_id: str = ""
    """What proves a deletion."""


class DrainServers(msgspec.Struct, frozen=True, kw_only=True):
    """Servers that are to be emptied: boots, or all that run a version of the software."""

    boots: tuple[str, ...] = ()
    name: str = ""
    """What the operator called it, for people."""
    version: str = ""
    move: bool = True
    """Sessions go to other servers between two utterances; without, they are waited out."""
    end: bool = False
    """Those that no other server takes end as `drained`."""
    wait: bool = False
    """Until the servers are empty."""
    progress: Progress = Progress()

    @property
    def title(self) -> str:
        """In words."""
        what = f"version {self.version}" if self.version else self.name or ", ".join(self.boots)
        how = [word for word, wanted in (("without moving", not self.move), ("ending", self.end)) if wanted]
        return " ".join([f"drain {what}", *how, *(["until empty"] if self.wait else [])])

    @property
    def workflow_id(self) -> str:
        """One drain of the same servers at a time."""
        return f"drain-version-{self.version}" if self.version else f"drain-{'-'.join(self.boots)}"


class EndSessions(msgspec.Struct, frozen=True, kw_only=True):
    """Sessions that are to end."""

    selection: Selection
    reason: EndReason = EndReason.ENDED_BY_OPERATOR
    progress: Progress = Progress()
    since: datetime | None = None
    """When it was first begun; sessions that came later stay. None: it begins now."""

    @property
    def title(self) -> str:
        """In words."""
        return f"end sessions of {self.selection.title} as {self.reason}"

    @property
    def workflow_id(self) -> str:
        """One for the same selection at a time. Values of metadata may be anything, hence the digest."""
        return f"end-sessions-{sha256(self.selection.title.encode()).hexdigest()[:16]}"


class ServedSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session, and the boot whose lease it holds."""

    session_id: str
    boot_id: str


class TakeOutInput(msgspec.Struct, frozen=True, kw_only=True):
    """Servers that get no new sessions from now on."""

    boots: tuple[str, ...] = ()
    version: str = ""
    after: str = ""
    """Only sessions whose ids come after it."""
    at_most: int = 200


class TakeOutResult(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of the sessions that they serve, by id."""

    servers: int
    sessions: tuple[ServedSession, ...]
    number: int
    """All that they serve, the stretch included."""


class MoveSessionsInput(msgspec.Struct, frozen=True, kw_only=True):
    """Sessions that are to leave their servers."""

    sessions: tuple[ServedSession, ...]
    move: bool
    end: bool


class FindSessionsInput(msgspec.Struct, frozen=True, kw_only=True):
    """Sessions that are looked for."""

    selection: Selection
    since: datetime
    """Not those that came later."""
    after: str = ""
    at_most: int = 200


class FindSessionsResult(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of them, by id."""

    session_ids: tuple[str, ...]
    last: str
    """Where the next stretch goes on; empty: there is none."""


class EndSelectedInput(msgspec.Struct, frozen=True, kw_only=True):
    """Sessions that are to end now."""

    session_ids: tuple[str, ...]
    reason: EndReason


class SessionsDealtWith(msgspec.Struct, frozen=True, kw_only=True):
    """What became of some sessions."""

    done: int
    troubles: int
    lines: tuple[str, ...]
    """A sentence for each."""
