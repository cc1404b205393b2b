"""Rooms of our own making: their names, and the tokens for them. The sessions role makes the rooms themselves."""

from datetime import UTC, datetime, timedelta

from msgspec import UNSET, UnsetType

from adapters.livekit_rooms import LONGEST, LiveKitAccess, LiveKitTokens
from api.room_requests import CheckedRoom, check_room
from contracts.http import RoomRequest, RoomView
from domain.rooms import AVATAR_IDENTITY, room_name
from domain.session import Session, SessionStatus
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

    def room_of(self, session_id: str) -> CheckedRoom:
        """The room that is to be made for a session. A session's id cannot be guessed, and so neither can its name."""
        name = room_name(session_id)
        token = self._tokens.avatar(name, AVATAR_IDENTITY, client=CLIENT)
        return CheckedRoom(platform=PLATFORM, url=self._url, token=token, managed_name=name)

    def entrance(self, session: Session) -> RoomView:
        """The client's way into a session's room; its token outlives the session a little."""
        left = session.expires_at - datetime.now(UTC) + SPARE if session.expires_at else LONGEST
        token = self._tokens.participant(room_name(session.session_id), CLIENT, max(left, SPARE))
        return RoomView(room_url=self._public_url, participant_token=token)


def managed_rooms(settings: Settings) -> ManagedRooms | None:
    """The rooms of the operator's own LiveKit server; None where none is set."""
    access = settings.livekit_access
    return ManagedRooms(LiveKitAccess(**access), settings.public_livekit_url) if access else None


def requested_room(
    room: RoomRequest | UnsetType, allowed_hosts: frozenset[str], managed: ManagedRooms | None, *, daily: bool = False
) -> CheckedRoom | None:
    """The customer's own room; None where one is to be made, since they ask for `proxy` or for none."""
    if managed is not None and (isinstance(room, UnsetType) or room.platform == PLATFORM):
        return None
    return check_room(room, allowed_hosts, daily=daily)


def made_room(managed: ManagedRooms | None, session_id: str) -> CheckedRoom:
    """The room that is made for a session, where `requested_room` said that one is to be."""
    if managed is None:
        raise AssertionError("a room is to be made only where there is a server for it")
    return managed.room_of(session_id)


def entrance(managed: ManagedRooms | None, session: Session, *, made: bool) -> RoomView | UnsetType:
    """What the answer to a create says of the room: nothing where it is the customer's own, or its session is over."""
    if managed is None or not made or session.status is not SessionStatus.STARTED:
        return UNSET
    return managed.entrance(session)
