"""A session: its states, its ends, and the timer that leads out of each state."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from domain.avatars import AspectRatio


class SessionStatus(StrEnum):
    """The contract's states. `created` is a session that was admitted and is still starting."""

    CREATED = "created"
    STARTED = "started"
    ENDED = "ended"


class EndReason(StrEnum):
    """Why a session that had started ended. One vocabulary for the API, the timeline and the search attribute."""

    ENDED_BY_REQUEST = "ended_by_request"
    EXPIRED = "expired"
    NOBODY_JOINED = "nobody_joined"
    PARTICIPANTS_LEFT = "participants_left"
    ROOM_DELETED = "room_deleted"
    REMOVED = "removed"
    IDENTITY_TAKEN = "identity_taken"
    ROOM_UNREACHABLE = "room_unreachable"
    ROOM_ENCRYPTED = "room_encrypted"
    SERVER_LOST = "server_lost"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - a reason, not a secret
    TERMINATED = "terminated"


@dataclass(frozen=True, kw_only=True)
class Session:
    """What is remembered of a session."""

    session_id: str
    account_id: str
    avatar_id: str
    status: SessionStatus
    aspect_ratio: AspectRatio
    metadata: Mapping[str, Any]
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    expires_at: datetime | None = None
    """The plan's end; None where the plan has none."""
    end_reason: str | None = None
    """An EndReason, or the failure code of a create that failed."""

    def duration_seconds(self, now: datetime) -> int:
        """Whole seconds from the start to the end, or to `now` while it runs; 0 if it never started."""
        if self.started_at is None:
            return 0
        return max(int(((self.ended_at or now) - self.started_at).total_seconds()), 0)


@dataclass(frozen=True, kw_only=True)
class LifeTimers:
    """How long each state of a running session may last."""

    nobody_joined: timedelta = timedelta(seconds=120)
    """From the start until somebody who counts was seen in the room."""
    participants_left: timedelta = timedelta(seconds=20)
    """From the moment the last one who counts left."""


@dataclass(frozen=True, kw_only=True)
class RoomOccupancy:
    """What is known of the people in the room. Agents and avatars do not count."""

    someone_was_there: bool = False
    empty_since: datetime | None = None
    """Since when nobody who counts is there; None while somebody is."""

    def seen(self, people: int, at: datetime) -> "RoomOccupancy":
        """The occupancy after `people` were seen at a moment."""
        if people > 0:
            return RoomOccupancy(someone_was_there=True, empty_since=None)
        return RoomOccupancy(someone_was_there=self.someone_was_there, empty_since=self.empty_since or at)

    def explain(self, reason: str) -> str:
        """Why a session ends whose room gave `reason`.

        LiveKit deletes a room some seconds after its last person left, agents or not; that is the leaving, not a
        deletion by somebody.
        """
        if reason == EndReason.ROOM_DELETED and self.someone_was_there and self.empty_since is not None:
            return EndReason.PARTICIPANTS_LEFT
        return reason


@dataclass(frozen=True, kw_only=True)
class Due:
    """The next timer: when it fires and what it ends the session as."""

    at: datetime
    reason: EndReason


@dataclass(frozen=True, kw_only=True)
class Life:
    """What decides when a running session ends by itself."""

    started_at: datetime
    enforced_end: datetime
    timers: LifeTimers = field(default_factory=LifeTimers)

    def next_due(self, occupancy: RoomOccupancy) -> Due:
        """The timer that fires first. There always is one (invariant I6)."""
        dues = [Due(at=self.enforced_end, reason=EndReason.EXPIRED)]
        if not occupancy.someone_was_there:
            dues.append(Due(at=self.started_at + self.timers.nobody_joined, reason=EndReason.NOBODY_JOINED))
        elif occupancy.empty_since is not None:
            left = occupancy.empty_since + self.timers.participants_left
            dues.append(Due(at=left, reason=EndReason.PARTICIPANTS_LEFT))
        return min(dues, key=lambda due: due.at)
