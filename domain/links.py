"""Links: addresses by which people without an API key start sessions with one avatar."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from domain.avatars import AspectRatio

PREVIEW_LIFE = timedelta(minutes=5)


class LinkKind(StrEnum):
    """A link that an account keeps, or a preview of an avatar: for one session, within five minutes, in no list."""

    LINK = "link"
    PREVIEW = "preview"


class LinkStatus(StrEnum):
    """What a link is good for. One that is used up is `expired` too."""

    ACTIVE = "active"
    PAUSED = "paused"
    EXPIRED = "expired"


@dataclass(frozen=True, kw_only=True)
class Link:
    """A link of an account."""

    link_id: str
    account_id: str
    avatar_id: str
    kind: LinkKind
    name: str
    aspect_ratio: AspectRatio
    paused: bool
    uses: int
    """Sessions that were started by it."""
    use_limit: int | None
    """None: as many as are wanted."""
    created_at: datetime
    expires_at: datetime | None

    @property
    def reference(self) -> str:
        """What its sessions are marked with, and opens nothing: the id starts sessions, for whoever reads it."""
        return f"link-{sha256(self.link_id.encode()).hexdigest()[:16]}"

    @property
    def used_up(self) -> bool:
        """Has it started as many sessions as it may?"""
        return self.use_limit is not None and self.uses >= self.use_limit

    def is_over(self, now: datetime) -> bool:
        """Is its time up?"""
        return self.expires_at is not None and self.expires_at <= now

    def status(self, now: datetime) -> LinkStatus:
        """What it is good for at a moment."""
        if self.used_up or self.is_over(now):
            return LinkStatus.EXPIRED
        return LinkStatus.PAUSED if self.paused else LinkStatus.ACTIVE
