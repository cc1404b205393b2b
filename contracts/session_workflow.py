"""What the session's workflow takes, answers and is called."""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from contracts.portraits import StoredObject
from domain.avatars import AspectRatio
from domain.plans import UNLIMITED
from domain.session import EndReason

CREATE_UPDATE_ID = "create"
"""The id of the one update that answers a create: a repeat gets the stored answer."""

END, MOVE_AWAY = "end", "move_away"
"""The updates that operators' steps ask for; by name, since steps do not import workflows."""

REPORT_ROOM = "report_room"
"""The signal that avatar servers send; by name, since they do not import workflows."""

ROOM_TOKEN_FIELD = "room.token"  # noqa: S105 - the field's name, which a sealed token is bound to


class RoomAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where the avatar goes. The token is sealed: only an avatar server can open it."""

    platform: str
    url: str
    sealed_token: str
    display_name: str | None = None
    managed_name: str = ""
    """The room that the session's workflow makes and deletes; empty where the room is the customer's own."""


class NewPicture(msgspec.Struct, frozen=True, kw_only=True):
    """A picture that the API has staged, to be made into an avatar."""

    source: StoredObject
    """The picture as it was sent; with `host`, its address: an address may hold a key and stands in no history."""
    staging_prefix: str
    """Everything below it belongs to this create and is deleted when the create is over."""
    host: str = ""
    """Where the picture is to be fetched from; empty means that it was sent."""


class CreateSessionInput(msgspec.Struct, frozen=True, kw_only=True):
    """What a create asks for."""

    session_id: str
    account_id: str
    avatar_id: str
    """The avatar to show; with a picture, the id that the new avatar gets."""
    aspect_ratio: AspectRatio
    room: RoomAddress
    create_within: timedelta
    """How long the create may take, from the workflow's start; what it may wait in line, and that alone, is in it."""
    picture: NewPicture | None = None
    metadata: dict[str, Any] = {}
    wait_up_to: timedelta = timedelta(0)
    """How long it waits in line where no avatar server has a free slot."""
    key_id: str = ""
    """Of the key that asks for it, as operators know it; empty: a link does."""
    duplicate_key: str = ""
    """Older sessions with the same one end when this one has its slot; empty: there are none."""
    nobody_joined_after: timedelta = timedelta(seconds=120)
    participants_left_after: timedelta = timedelta(seconds=20)
    agent_left_after: timedelta = timedelta(seconds=20)
    expires_in: float | None = None
    """Seconds after which the session ends, where the client wants it shorter than its plan allows."""
    failover_within: timedelta = timedelta(seconds=30)
    """How long a running session without a server waits for another one to take it."""
    heartbeat_within: timedelta = timedelta(seconds=3)
    """So long its avatar server may be silent towards Temporal before the session looks at its lease."""


class SessionStarted(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `await_started`: the avatar's video is published."""

    session_id: str
    avatar_id: str
    started_at: datetime
    expires_at: datetime | None
    """The plan's end; None where the plan has none."""
    concurrency: int
    """The account's sessions that have not ended, this one included."""
    max_concurrency: int
    managed_room: str = ""
    """The name of the room that was made for the session; empty where the room is the customer's own."""
    minutes_left: int = UNLIMITED
    """What the account is shown as left."""


class EndSession(msgspec.Struct, frozen=True, kw_only=True):
    """A request to end the session."""

    reason: EndReason = EndReason.ENDED_BY_REQUEST


class ExtendSession(msgspec.Struct, frozen=True, kw_only=True):
    """A request to end the session later."""

    seconds: float


class SessionExtended(msgspec.Struct, frozen=True, kw_only=True):
    """The end as it stands now."""

    session_id: str
    expires_at: datetime | None
    """The plan's end; None where the plan has none, and nothing was moved."""


class MoveAway(msgspec.Struct, frozen=True, kw_only=True):
    """A wish that the session leave an avatar server that is to be stopped."""

    boot_id: str


class MovedAway(msgspec.Struct, frozen=True, kw_only=True):
    """Where the session is now."""

    boot_id: str
    server: str


class SessionEnded(msgspec.Struct, frozen=True, kw_only=True):
    """The end as it was recorded; the first reason that was committed wins."""

    session_id: str
    reason: str
    ended_at: datetime


class RoomSeen(msgspec.Struct, frozen=True, kw_only=True):
    """Who is in the room now, as the avatar's process sees it."""

    generation: int
    sequence: int
    """Grows with each report of a generation; an older one that arrives late is ignored."""
    people: int
    """Standard, SIP and connector participants."""
    agents: int
    agent_there: bool | None = None
    """Is the agent there that the avatar's token names? None where it names none."""
    empty_ms: int = 0
    """Without people: how long they have been gone."""
    agent_gone_ms: int = 0
    """Without the agent: how long it has been gone."""


class SessionOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """How the run closed."""

    outcome: str
    """`ended`, or `refused` for a create that never started."""
    reason: str
    """An end reason, or a failure code."""
    started: SessionStarted | None = None


def workflow_id(session_id: str) -> str:
    """The workflow id of a session: the session id itself, so that support can paste it into the UI's search."""
    return session_id
