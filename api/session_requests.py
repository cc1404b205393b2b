"""From a create's body to the workflow's input. Everything that can be refused without work is refused here."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from msgspec import UNSET, UnsetType
from ulid import ULID

from api.managed_rooms import made_room, requested_room
from api.metadata import check_metadata
from api.pictures import SentPicture, picture_in, stage
from api.repeat_keys import duplicate_key
from api.room_requests import CheckedRoom
from api.services import Services
from contracts.http import CreateSessionRequest, ExtendSessionRequest
from contracts.session_workflow import ROOM_TOKEN_FIELD, CreateSessionInput, ExtendSession, RoomAddress
from domain import ids
from domain.avatars import DEFAULT_ASPECT_RATIO, AspectRatio, check_access, parse_aspect_ratio
from domain.failures import FailureCode, Refused
from runtime.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who creates a session."""

    account_id: str
    key_id: str = ""
    """By which of its keys; empty: by a link."""


@dataclass(frozen=True, kw_only=True, repr=False)
class CheckedCreate:
    """A create whose every field can be acted on."""

    avatar: str
    """An avatar's id, unless a picture was sent."""
    sent: SentPicture | None
    aspect_ratio: AspectRatio
    room: CheckedRoom | None
    """The customer's own; None for one that is to be made."""
    metadata: dict[str, Any]
    wait_up_to: timedelta
    """How long it waits in line where no slot is free."""
    expires_in: float | None
    """Seconds; None where the plan's limit alone counts."""


def check_create(services: Services, request: CreateSessionRequest) -> CheckedCreate:
    """The create, if nothing in it is wrong by itself; asks nobody."""
    settings, avatar = services.settings, _avatar_field(request)
    ratio = DEFAULT_ASPECT_RATIO
    if not isinstance(request.aspect_ratio, UnsetType):
        ratio = parse_aspect_ratio(request.aspect_ratio)
    return CheckedCreate(
        avatar=avatar,
        aspect_ratio=ratio,
        room=requested_room(
            request.room, settings.allowed_room_hosts, services.managed_rooms, daily=settings.daily_rooms
        ),
        metadata=check_metadata(request.metadata),
        wait_up_to=_wait(settings, request),
        expires_in=None if isinstance(request.expires_in, UnsetType) else float(request.expires_in),
        sent=picture_in(avatar, settings.allowed_picture_hosts),
    )


async def session_command(
    services: Services, caller: Caller, session_id: str, wanted: CheckedCreate, *, takes_over: bool
) -> CreateSessionInput:
    """The workflow's input; a picture is staged last, when nothing else can be refused any more.

    `takes_over`: the session ends older ones whose avatar is the same participant of the same room.
    """
    account_id, avatar, sent = caller.account_id, wanted.avatar, wanted.sent
    if sent is None:
        check_access(await services.avatars.get(avatar), account_id)
    else:
        known = await services.avatar_of(sent, account_id)
        await services.avatars.check_picture(account_id, new=known is None)
        avatar, sent = (known, None) if known else (avatar, sent)
    picture = await stage(services.store, session_id, sent) if sent else None
    room = wanted.room or made_room(services.managed_rooms, session_id)
    settings = services.settings
    within = settings.create_with_picture_within_s if picture else settings.create_within_s
    return CreateSessionInput(
        session_id=session_id,
        account_id=account_id,
        key_id=caller.key_id,
        avatar_id=ids.avatar_id(str(ULID())) if picture else avatar,
        aspect_ratio=wanted.aspect_ratio,
        room=_sealed(services, session_id, room),
        create_within=timedelta(seconds=within) + wanted.wait_up_to,
        wait_up_to=wanted.wait_up_to,
        picture=picture,
        metadata=wanted.metadata,
        duplicate_key=duplicate_key(account_id, room) if takes_over else "",
        expires_in=wanted.expires_in,
        **times_of(settings),
    )


def times_of(settings: Settings) -> dict[str, Any]:
    """The times in a session's life that the operator has set, by their names in the workflow's input."""
    seconds = {
        "nobody_joined_after": settings.nobody_joined_s,
        "participants_left_after": settings.participants_left_s,
        "agent_left_after": settings.agent_left_s,
        "failover_within": settings.failover_within_s,
        "heartbeat_within": settings.heartbeat_within_s,
    }
    return {name: timedelta(seconds=length) for name, length in seconds.items()}


def extension_wanted(request: ExtendSessionRequest) -> ExtendSession:
    """How much later a session is to end. INVALID_REQUEST unless it is said in exactly one way."""
    if isinstance(request.seconds, UnsetType) == isinstance(request.minutes, UnsetType):
        raise Refused(FailureCode.INVALID_REQUEST, "send either seconds or minutes")
    if not isinstance(request.seconds, UnsetType):
        return ExtendSession(seconds=float(request.seconds))
    return ExtendSession(seconds=60.0 * cast("int", request.minutes))


def _avatar_field(request: CreateSessionRequest) -> str:
    for value in (request.avatar, request.avatar_id, request.avatar_image_url):
        if value is not UNSET and value:
            return str(value)
    raise Refused(FailureCode.AVATAR_REQUIRED, "avatar is required")


def _wait(settings: Settings, request: CreateSessionRequest) -> timedelta:
    if isinstance(request.wait_up_to, UnsetType):
        return timedelta(seconds=settings.wait_up_to_s)
    if not 0 <= request.wait_up_to <= settings.longest_wait_s:
        details = {"min": 0, "max": settings.longest_wait_s}
        raise Refused(FailureCode.INVALID_WAIT, "wait_up_to is out of range", details=details)
    return timedelta(seconds=request.wait_up_to)


def _sealed(services: Services, session_id: str, room: CheckedRoom) -> RoomAddress:
    return RoomAddress(
        platform=room.platform,
        url=room.url,
        sealed_token=services.sealer.seal(room.token, session_id=session_id, field=ROOM_TOKEN_FIELD),
        display_name=room.display_name,
        managed_name=room.managed_name,
    )
