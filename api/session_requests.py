"""From a create's body to the workflow's input. Everything that can be refused without work is refused here."""

from datetime import timedelta
from typing import cast

from msgspec import UNSET, UnsetType
from ulid import ULID

from api.managed_rooms import requested_room
from api.metadata import check_metadata
from api.pictures import picture_in, stage
from api.room_requests import CheckedRoom
from api.services import Services
from contracts.http import CreateSessionRequest, ExtendSessionRequest
from contracts.session_workflow import ROOM_TOKEN_FIELD, CreateSessionInput, ExtendSession, RoomAddress
from domain import ids
from domain.avatars import DEFAULT_ASPECT_RATIO, check_access, parse_aspect_ratio
from domain.failures import FailureCode, Refused


async def session_command(services: Services, account_id: str, request: CreateSessionRequest) -> CreateSessionInput:
    """The workflow's input; a picture is staged last, when nothing else can be refused any more."""
    avatar = _avatar_field(request)
    ratio = DEFAULT_ASPECT_RATIO
    if not isinstance(request.aspect_ratio, UnsetType):
        ratio = parse_aspect_ratio(request.aspect_ratio)
    room = requested_room(request.room, services.settings.allowed_room_hosts, services.managed_rooms)
    metadata = check_metadata(request.metadata)
    sent = picture_in(avatar, services.settings.allowed_picture_hosts)
    if sent is None:
        check_access(await services.avatars.get(avatar), account_id)
    else:
        known = await services.avatar_of(sent, account_id)
        await services.avatars.check_picture(account_id, new=known is None)
        avatar, sent = (known, None) if known else (avatar, sent)
    session_id = ids.session_id(str(ULID()))
    picture = await stage(services.store, session_id, sent) if sent else None
    settings = services.settings
    within = settings.create_with_picture_within_s if picture else settings.create_within_s
    return CreateSessionInput(
        session_id=session_id,
        account_id=account_id,
        avatar_id=ids.avatar_id(str(ULID())) if picture else avatar,
        aspect_ratio=ratio,
        room=_sealed(services, session_id, room),
        create_within=timedelta(seconds=within),
        picture=picture,
        metadata=metadata,
        nobody_joined_after=timedelta(seconds=settings.nobody_joined_s),
        participants_left_after=timedelta(seconds=settings.participants_left_s),
        agent_left_after=timedelta(seconds=settings.agent_left_s),
        expires_in=None if isinstance(request.expires_in, UnsetType) else float(request.expires_in),
        failover_within=timedelta(seconds=settings.failover_within_s),
    )


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


def _sealed(services: Services, session_id: str, room: CheckedRoom) -> RoomAddress:
    return RoomAddress(
        platform=room.platform,
        url=room.url,
        sealed_token=services.sealer.seal(room.token, session_id=session_id, field=ROOM_TOKEN_FIELD),
        display_name=room.display_name,
        managed_name=room.managed_name,
    )
