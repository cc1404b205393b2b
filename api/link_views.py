"""How links look to clients, and what of a request becomes a link."""

from datetime import UTC, datetime
from typing import Any

from msgspec import UNSET, UnsetType

from contracts.http import SessionAvatarView, instant
from contracts.http_links import CreateLinkRequest, LinkView, UpdateLinkRequest
from domain.avatars import DEFAULT_ASPECT_RATIO, AspectRatio, parse_aspect_ratio
from domain.failures import FailureCode, Refused
from domain.links import Link


def link_view(link: Link, public_address: str) -> LinkView:
    """A link as it stands now."""
    return LinkView(
        link_id=link.link_id,
        reference=link.reference,
        name=link.name,
        url=watch_address(public_address, link.link_id),
        avatar=SessionAvatarView(avatar_id=link.avatar_id),
        aspect_ratio=link.aspect_ratio,
        status=link.status(datetime.now(UTC)),
        uses=link.uses,
        use_limit=link.use_limit,
        created_at=instant(link.created_at),
        expires_at=None if link.expires_at is None else instant(link.expires_at),
    )


def watch_address(public_address: str, link_id: str) -> str:
    """The page that a link opens."""
    return f"{public_address}/watch/{link_id}"


def avatar_of(request: CreateLinkRequest) -> str:
    """The id of the avatar that a link is wanted for."""
    for value in (request.avatar, request.avatar_id):
        if not isinstance(value, UnsetType) and value:
            return value
    raise Refused(FailureCode.AVATAR_REQUIRED, "avatar is required")


def ratio_of(asked: str | UnsetType) -> AspectRatio:
    """The ratio of a link's sessions."""
    return DEFAULT_ASPECT_RATIO if isinstance(asked, UnsetType) else parse_aspect_ratio(asked)


def started_ratio(asked: str | UnsetType, link: Link) -> AspectRatio:
    """The ratio of a session that somebody with a link starts; what is none is 4:3, as the contract has it."""
    if isinstance(asked, UnsetType):
        return link.aspect_ratio
    try:
        return parse_aspect_ratio(asked)
    except Refused:
        return DEFAULT_ASPECT_RATIO


def changes_of(request: UpdateLinkRequest) -> dict[str, Any]:
    """The columns that a request changes."""
    check_expiry(request.expires_at)
    asked = {name: getattr(request, name) for name in ("name", "use_limit", "expires_at")}
    if not isinstance(request.status, UnsetType):
        asked["paused"] = request.status == "paused"
    return {name: value for name, value in asked.items() if value is not UNSET}


def check_expiry(expires_at: datetime | UnsetType | None) -> None:
    """INVALID_LINK for a moment that is past."""
    if isinstance(expires_at, datetime) and expires_at <= datetime.now(UTC):
        raise Refused(FailureCode.INVALID_LINK, "expires_at is past")
