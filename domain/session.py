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
    AGENT_LEFT = "agent_left"
    ROOM_DELETED = "room_deleted"
    REMOVED = "removed"
    IDENTITY_TAKEN = "identity_taken"
    REPLACED = "replaced"
    ROOM_UNREACHABLE = "room_unreachable"
    ROOM_ENCRYPTED = "room_encrypted"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - a reason, not a secret
    SERVER_LOST = "server_lost"
    DRAINED = "drained"
    MINUTES_EXHAUSTED = "minutes_exhausted"
    ACCOUNT_CLOSED = "account_closed"
    ENDED_BY_OPERATOR = "ended_by_operator"
    CONTROL_CONNECTION_LOST = "control_connection_lost"
    TERMINATED = "terminated"


@dataclass(frozen=True, kw_only=True)
class Bill:
    """What a session that has ended cost, in minutes."""

    minutes: int
    included: int
    """Of the plan's."""
    purchased: int
    """Of those that were bought."""


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
    billing: Bill | None = None
    """None while it runs, and of a create that failed."""

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
    agent_left: timedelta = timedelta(seconds=20)
    """From the moment the agent left that the avatar's token names; without such a name, and before it was there, no
    session ends for its absence."""

    @property
    def settle(self) -> timedelta:
        """How long somebody must have been gone before that is worth a word: who is back by then was never away."""
        return min(LONGEST_SETTLE, self.participants_left / 4, self.agent_left / 4)


LONGEST_SETTLE = timedelta(seconds=5)


@dataclass(frozen=True, kw_only=True)
class RoomOccupancy:
    """What is known of who is in the room. Agents and avatars do not count as people."""

    someone_was_there: bool = False
    empty_since: datetime | None = None
    """Since when nobody who counts is there; None while somebody is."""
    agent_was_there: bool = False
    agent_gone_since: datetime | None = None
    """Since when the avatar's agent is gone; None while it is there, and before it ever was."""

    def seen(
        self,
        people: int,
        at: datetime,
        *,
        agent_there: bool | None = None,
        empty_for: timedelta = timedelta(0),
        agent_gone_for: timedelta = timedelta(0),
    ) -> "RoomOccupancy":
        """The occupancy after `people` were seen at a moment, and the agent or not; None where no agent is named."""
        absent = agent_there is False and self.agent_was_there
        return RoomOccupancy(
            someone_was_there=self.someone_was_there or people > 0,
            empty_since=None if people > 0 else self.empty_since or at - empty_for,
            agent_was_there=self.agent_was_there or agent_there is True,
            agent_gone_since=(self.agent_gone_since or at - agent_gone_for) if absent else None,
        )

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
        if occupancy.agent_gone_since is not None:
            dues.append(Due(at=occupancy.agent_gone_since + self.timers.agent_left, reason=EndReason.AGENT_LEFT))
        return min(dues, key=lambda due: due.at)
