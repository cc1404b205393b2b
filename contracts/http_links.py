"""The bodies of links, previews and the watch page. Unknown fields in requests are ignored."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from contracts.http import SessionAvatarView

Name = Annotated[str, msgspec.Meta(max_length=200)]
UseLimit = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""ISO 8601 with a zone."""


class CreateLinkRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A link to one avatar."""

    avatar: str | UnsetType = UNSET
    """The avatar's id."""
    avatar_id: str | UnsetType = UNSET
    """Another name of `avatar`."""
    name: Name = ""
    aspect_ratio: str | UnsetType = UNSET
    """`4:3` (the default), `3:4`, `1:1` or `auto`."""
    use_limit: UseLimit | None = None
    """How many sessions it may start; null: as many as are wanted."""
    expires_at: Moment | None = None


class UpdateLinkRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change; what is left out stays as it is."""

    name: Name | UnsetType = UNSET
    status: Literal["active", "paused"] | UnsetType = UNSET
    use_limit: UseLimit | UnsetType | None = UNSET
    expires_at: Moment | UnsetType | None = UNSET


class LinkView(msgspec.Struct, frozen=True, kw_only=True):
    """A link."""

    link_id: str
    """The credential: who knows it can start sessions."""
    reference: str
    """What opens nothing: the `metadata.link` of its sessions."""
    name: str
    url: str
    """The page that it opens."""
    avatar: SessionAvatarView
    aspect_ratio: str
    status: str
    """`active`, `paused`, or `expired`: its time is up, or it was used as often as it may be."""
    uses: int
    use_limit: int | None
    created_at: str
    expires_at: str | None
    agent: None = None
    """Always null: a link belongs to an avatar here."""


class LinkAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One link."""

    link: LinkView
    success: bool = True


class LinkList(msgspec.Struct, frozen=True, kw_only=True):
    """An account's links, newest first."""

    links: list[LinkView]
    success: bool = True


class PreviewRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An avatar to look at."""

    avatar_id: str


class PreviewAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The page on which the avatar can be seen: once, within five minutes."""

    url: str
    success: bool = True


class StartByLinkRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who has a link wants a session."""

    link_id: str
    aspect_ratio: str | UnsetType = UNSET
    """The link's own unless given; what is no ratio is `4:3`."""


class StartedByLink(msgspec.Struct, frozen=True, kw_only=True):
    """The way into the session's room."""

    session_id: str
    livekit_url: str
    participant_token: str
    agent_identity: str
    """Whom to send speech to."""
    session_token: str
    """With it the watch page ends the session and has texts spoken."""
    aspect_ratio: str
    expiration: str | None
    success: bool = True

    def __repr__(self) -> str:
        """Without the tokens."""
        return f"StartedByLink(session_id={self.session_id!r}, ...)"


class SpeakRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A text to be spoken."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class WatchedSession(msgspec.Struct, frozen=True, kw_only=True):
    """What the watch page needs to know of its session."""

    status: str
    expiration: str | None
    end_reason: str | None


class WatchEnded(msgspec.Struct, frozen=True, kw_only=True):
    """The session has ended."""

    end_reason: str | None
    success: bool = True
