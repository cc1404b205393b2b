"""How sessions and avatars look to clients."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from msgspec import UNSET, UnsetType

from api.picture_addresses import PictureAddresses
from contracts.http import (
    AvatarView,
    BillingView,
    ConcurrencyView,
    FaceUploaded,
    MinutesView,
    RoomView,
    SessionAvatarView,
    SessionView,
    TimelineEntryView,
    UsageView,
    instant,
)
from database.session_reading import TimelineEntry
from domain.avatars import PREVIEW, Avatar
from domain.plans import Concurrency
from domain.session import Bill, Session

LINK_LIFE = timedelta(hours=1)


def session_view(
    session: Session, *, token: str | UnsetType = UNSET, room: RoomView | UnsetType = UNSET
) -> SessionView:
    """A session as it stands now."""
    return SessionView(
        session_id=session.session_id,
        status=session.status,
        started_at=_instant(session.started_at),
        ended_at=_instant(session.ended_at),
        expiration=_instant(session.expires_at),
        aspect_ratio=session.aspect_ratio,
        duration=session.duration_seconds(datetime.now(UTC)),
        metadata=dict(session.metadata),
        end_reason=session.end_reason,
        billing=_billing(session.billing),
        avatar=SessionAvatarView(avatar_id=session.avatar_id),
        session_token=token,
        room=room,
    )


def timeline_views(entries: Sequence[TimelineEntry]) -> list[TimelineEntryView]:
    """A session's changes, each with the time since the one before."""
    before = [entries[0], *entries] if entries else []
    return [
        TimelineEntryView(
            at=instant(entry.at),
            step=entry.step,
            status=entry.status,
            cause=entry.cause,
            duration_ms=entry.took_ms,
            since_previous_ms=(entry.at - previous.at) // timedelta(milliseconds=1),
            generation=entry.generation,
            server=entry.server,
            workflow_id=entry.workflow_id,
            run_id=entry.run_id,
            details=entry.details,
        )
        for previous, entry in zip(before, entries, strict=False)
    ]


def concurrency_view(concurrency: Concurrency) -> ConcurrencyView:
    """How many sessions run, and how many may."""
    return ConcurrencyView(current=concurrency.current, max=concurrency.max, available=concurrency.available)


def usage_view(concurrency: Concurrency, minutes_left: int) -> UsageView:
    """The account's usage with a new session counted."""
    return UsageView(
        concurrency=concurrency_view(concurrency),
        minutes=MinutesView(total_remaining=minutes_left),
    )


class AvatarViews:
    """Avatars with addresses of their pictures, signed for an hour."""

    def __init__(self, addresses: PictureAddresses) -> None:
        self._addresses = addresses

    def view(self, avatar: Avatar) -> AvatarView:
        """An avatar as a client sees it."""
        return AvatarView(
            avatar_id=avatar.avatar_id,
            tags=avatar.tags,
            preview_url=self.address(avatar.portraits[PREVIEW].key),
            image_url=self.address(avatar.image.key),
        )

    def uploaded(self, avatar_id: str, preview_key: str, image_key: str) -> FaceUploaded:
        """The answer to an upload, by the keys of the two pictures that clients are shown."""
        return FaceUploaded(
            avatar_id=avatar_id, preview_url=self.address(preview_key), image_url=self.address(image_key)
        )

    def address(self, key: str) -> str:
        """An address of an object. It stays the same for a quarter of an hour, so that browsers can cache it."""
        quarter = 900
        now = int(datetime.now(UTC).timestamp())
        begins = now - now % quarter
        return self._addresses(key, begins, begins + quarter + int(LINK_LIFE.total_seconds()))


def _billing(bill: Bill | None) -> BillingView | None:
    if bill is None:
        return None
    return BillingView(minutes_used=bill.minutes, included_minutes=bill.included, purchased_minutes=bill.purchased)


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else instant(moment)
