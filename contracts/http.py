"""The bodies of the HTTP API: AgentHuman's public contract. Unknown fields in requests are ignored."""

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType


class RoomRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The customer's own video room, or with `proxy` one that is made for the session."""

    platform: str | UnsetType = UNSET
    """`livekit`, or `proxy`, which needs nothing else."""
    url: str | UnsetType = UNSET
    """Address of the LiveKit server, `ws(s)://` or `http(s)://`."""
    token: str | UnsetType = UNSET
    """The token the avatar joins with."""
    display_name: str | UnsetType = UNSET


class CreateSessionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A session that is to start at once."""

    avatar: str | UnsetType = UNSET
    """An avatar id, or a picture as base64 or data URI, from which an avatar is made first."""
    avatar_id: str | UnsetType = UNSET
    """Older name of `avatar`."""
    avatar_image_url: str | UnsetType = UNSET
    """Older name of `avatar`."""
    aspect_ratio: str | UnsetType = UNSET
    """`4:3` (the default), `3:4`, `1:1` or `auto`."""
    room: RoomRequest | UnsetType = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET
    """Any JSON object; it comes back with the session."""
    expires_in: Annotated[int, msgspec.Meta(ge=1, le=86_400)] | UnsetType = UNSET
    """Seconds after its start at which the session ends; the plan's limit where that is shorter, or nothing is said."""
    wait_up_to: float | UnsetType = UNSET
    """Seconds that the create waits in line where every avatar server is full; 0 for not at all."""


class ExtendSessionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """How much later the session is to end: exactly one of the two."""

    seconds: Annotated[int, msgspec.Meta(ge=1, le=86_400)] | UnsetType = UNSET
    minutes: Annotated[int, msgspec.Meta(ge=1, le=1_440)] | UnsetType = UNSET


class UploadFaceRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A picture of one face: exactly one of the two."""

    image_base64: str | None = None
    """With or without a data URI's prefix."""
    image_url: str | None = None
    dry_run: bool = False
    """Only judge the picture: no avatar is made of it."""


class SessionAvatarView(msgspec.Struct, frozen=True, kw_only=True):
    """The avatar that a session shows."""

    avatar_id: str


class RoomView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The way into the room that was made for a session."""

    room_url: str = msgspec.field(name="roomURL")
    participant_token: str
    """For the client: a LiveKit token for this room and no other. It is made for this answer and stored nowhere."""

    def __repr__(self) -> str:
        """Without the token."""
        return f"RoomView(room_url={self.room_url!r}, ...)"


class BillingView(msgspec.Struct, frozen=True, kw_only=True):
    """What a session cost, in minutes."""

    minutes_used: int
    included_minutes: int
    """Of the plan's."""
    purchased_minutes: int
    """Of those that were bought."""
    status: str = "billed"


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """A session."""

    session_id: str
    status: str
    """`created`, `started` or `ended`."""
    started_at: str | None
    ended_at: str | None
    expiration: str | None
    """When the plan ends it; null where the plan has no limit."""
    aspect_ratio: str
    duration: int
    """Whole seconds: so far while it runs, in total once it has ended."""
    metadata: dict[str, Any]
    end_reason: str | None
    avatar: SessionAvatarView
    billing: BillingView | None = None
    """Once it has ended; null before, and where it never started."""
    session_token: str | UnsetType = UNSET
    """In the answer to a create only."""
    room: RoomView | UnsetType = UNSET
    """In the answer to a create only, and only where the room was made for it."""


class ConcurrencyView(msgspec.Struct, frozen=True, kw_only=True):
    """How many sessions run, and how many may."""

    current: int
    max: int
    available: int


class MinutesView(msgspec.Struct, frozen=True, kw_only=True):
    """Minutes that are left."""

    total_remaining: int


class UsageView(msgspec.Struct, frozen=True, kw_only=True):
    """The account's usage, the new session counted."""

    concurrency: ConcurrencyView
    minutes: MinutesView


class PeriodView(msgspec.Struct, frozen=True, kw_only=True):
    """What minutes and pictures are counted in: the calendar's month, or a month of the subscription."""

    start: str
    end: str


class IncludedMinutesView(msgspec.Struct, frozen=True, kw_only=True):
    """The plan's minutes; running sessions are counted as used."""

    total: int
    used: int
    remaining: int


class PurchasedMinutesView(msgspec.Struct, frozen=True, kw_only=True):
    """Minutes that were bought: packs that something is left of."""

    total: int
    remaining: int


class AvatarUsageView(msgspec.Struct, frozen=True, kw_only=True):
    """Avatars made of pictures in the period."""

    limit: int | None
    """0: not in the plan; null: no limit."""
    used: int
    remaining: int | None


class PlanView(msgspec.Struct, frozen=True, kw_only=True):
    """The account's plan."""

    key: str
    name: str
    max_session_duration: int | None
    """Minutes; null: no limit."""
    will_renew: bool = True


class AccountUsageView(msgspec.Struct, frozen=True, kw_only=True):
    """What an account has used of its plan in the period that runs. Numbers without a limit show as 1,000,000."""

    period: PeriodView
    included_minutes: IncludedMinutesView
    purchased_minutes: PurchasedMinutesView
    total_remaining: int
    active_sessions: list[SessionView]
    """Those that run; their status is `active` here."""
    active_minutes: int
    """What they would cost if they ended now, each rounded up to whole minutes."""
    concurrency: ConcurrencyView
    avatars: AvatarUsageView
    plan: PlanView


class UsageFound(msgspec.Struct, frozen=True, kw_only=True):
    """The account's usage."""

    usage: AccountUsageView
    success: bool = True


class SessionCreated(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a create: the avatar's video is published in the room."""

    session: SessionView
    usage: UsageView
    message: str = "Session created successfully"
    success: bool = True


class SessionFound(msgspec.Struct, frozen=True, kw_only=True):
    """One session."""

    session: SessionView
    success: bool = True


class SessionList(msgspec.Struct, frozen=True, kw_only=True):
    """Sessions of the account, newest first."""

    sessions: list[SessionView]
    next_cursor: str | None
    """`cursor` of the next page; null on the last one."""
    success: bool = True


class TimelineEntryView(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a session."""

    at: str
    step: str
    """`admit_session`, `lease_server`, `record_started`, `record_moved`, `record_ended` and others."""
    status: str
    """Of the session after it."""
    cause: str | None
    """Why it changed, where there is more than one reason: an `end_reason`."""
    duration_ms: int | None
    """How long the step took, failed attempts included; null where it was not noted."""
    since_previous_ms: int
    """From the change before; 0 for the first."""
    generation: int
    """Counts the avatar servers that the session has had; 0 where the change concerns none."""
    server: str | None
    workflow_id: str | None
    """Temporal's ids of who asked for the step; null where no workflow did."""
    run_id: str | None
    details: dict[str, Any] | None


class SessionTimeline(msgspec.Struct, frozen=True, kw_only=True):
    """Every change of a session, the oldest first."""

    session_id: str
    workflow_id: str
    """Under this id the session is found in Temporal's own pages."""
    timeline: list[TimelineEntryView]
    success: bool = True


class SessionExtendedView(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to an extension; `expiration` is the new one, or null as ever where the plan has no limit."""

    session: SessionView
    message: str = "Session extended successfully"
    success: bool = True


class SessionEndedView(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to an end."""

    session: SessionView
    message: str = "Session ended successfully"
    success: bool = True


class SessionStartedView(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to the older call that started a session."""

    ws_uri: str
    """Where control connections are taken."""
    expiration: str | None
    message: str = "Session started successfully"
    success: bool = True


class AvatarView(msgspec.Struct, frozen=True, kw_only=True):
    """An avatar, with addresses of its pictures that expire."""

    avatar_id: str
    tags: list[str]
    preview_url: str
    image_url: str


class AvatarList(msgspec.Struct, frozen=True, kw_only=True):
    """The avatars that an account can use."""

    public_avatars: list[AvatarView]
    my_avatars: list[AvatarView]
    success: bool = True


class FaceUploaded(msgspec.Struct, frozen=True, kw_only=True):
    """The avatar made of an uploaded picture."""

    avatar_id: str
    preview_url: str
    image_url: str
    success: bool = True


class FaceJudged(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a dry run: the picture would become an avatar."""

    details: dict[str, Any]
    """What was measured; the names are those of a refusal's `details`."""
    verdict: str = "OK"
    success: bool = True


class AvatarDeleted(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a delete."""

    success: bool = True


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong, what helps, and a code that never changes."""

    message: str
    code: str
    suggestion: str | None = None
    details: dict[str, Any] | None = None


class ErrorView(msgspec.Struct, frozen=True, kw_only=True):
    """An error of an endpoint."""

    error: ErrorBody
    success: bool = False


class PlainErrorView(msgspec.Struct, frozen=True, kw_only=True):
    """An error of authentication: a sentence, as the contract has it."""

    error: str


class RateLimitedView(msgspec.Struct, frozen=True, kw_only=True):
    """An error of too many requests: a sentence, as the contract has it."""

    error: str
    success: bool = False


class HealthView(msgspec.Struct, frozen=True, kw_only=True):
    """The process is up."""

    status: str = "ok"


class ReadinessView(msgspec.Struct, frozen=True, kw_only=True):
    """Whether requests can be served, part by part: `ok`, or what is wrong."""

    status: str
    parts: dict[str, str]


def instant(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
