"""Rooms of our own making: their names, and the tokens for them. The sessions role makes the rooms themselves."""

import secrets
from datetime import UTC, datetime, timedelta

from msgspec import UNSET, UnsetType

from adapters.livekit_rooms import LONGEST, LiveKitAccess, LiveKitTokens
from api.room_requests import CheckedRoom, check_room
from contracts.http import RoomRequest, RoomView
from contracts.session_workflow import SessionStarted
from domain.rooms import AVATAR_IDENTITY
from runtime.settings import Settings

PLATFORM = "proxy"
CLIENT = "client"
"""The identity of the one who uses the room, and whose speech the avatar takes."""
SPARE = timedelta(minutes=5)
"""How much longer than its session a token lives: clocks differ, and a create takes its time."""


class ManagedRooms:
    """Names rooms and lets avatars and clients in. It asks no server."""

    def __init__(self, access: LiveKitAccess, public_url: str) -> None:
        self._tokens = LiveKitTokens(access)
        self._url = access.url
        self._public_url = public_url

    def new(self) -> CheckedRoom:
        """A room that is to be made: nobody can guess its name."""
        name = f"greenroom-{secrets.token_urlsafe(18)}"
        token = self._tokens.avatar(name, AVATAR_IDENTITY, client=CLIENT)
        return CheckedRoom(platform=PLATFORM, url=self._url, token=token, managed_name=name)

    def entrance(self, started: SessionStarted) -> RoomView:
        """The client's way in; its token outlives the session a little."""
        left = started.expires_at - datetime.now(UTC) + SPARE if started.expires_at else LONGEST
        token = self._tokens.participant(started.managed_room, CLIENT, max(left, SPARE))
        return RoomView(room_url=self._public_url, participant_token=token)


def managed_rooms(settings: Settings) -> ManagedRooms | None:
    """The rooms of the operator's own LiveKit server; None where none is set."""
    if not settings.livekit_url:
        return None
    key, secret = settings.livekit_api_key, settings.livekit_api_secret
    access = LiveKitAccess(url=settings.livekit_url, api_key=key, api_secret=secret)
    return ManagedRooms(access, settings.public_livekit_url)


def requested_room(
    room: RoomRequest | UnsetType, allowed_hosts: frozenset[str], managed: ManagedRooms | None
) -> CheckedRoom:
    """The room of a create: the customer's own, or a new one where they ask for `proxy` or for none."""
    if managed is not None and (isinstance(room, UnsetType) or room.platform == PLATFORM):
        return managed.new()
    return check_room(room, allowed_hosts)


def entrance(managed: ManagedRooms | None, started: SessionStarted) -> RoomView | UnsetType:
    """What the answer to a create says of the room: nothing where it is the customer's own."""
    return managed.entrance(started) if managed is not None and started.managed_room else UNSET
