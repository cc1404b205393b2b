"""Which room a create gets: the customer's own, or one that is made for it."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import UNSET, UnsetType

from api.managed_rooms import ManagedRooms, entrance, made_room, managed_rooms, requested_room
from contracts.http import RoomRequest
from domain.avatars import AspectRatio
from domain.failures import FailureCode, Refused
from domain.session import Session, SessionStatus
from runtime.settings import Settings

LIVEKIT = {"livekit_url": "ws://livekit:7880", "livekit_api_key": "key", "livekit_api_secret": "s" * 40}
HOSTS = frozenset({"room.example"})
OWN = RoomRequest(platform="livekit", url="ws://room.example", token="t")


@pytest.fixture
def rooms() -> ManagedRooms:
    """Rooms on a server that clients reach under another name."""
    made = managed_rooms(Settings(**LIVEKIT, livekit_public_url="wss://rooms.example"))
    assert made is not None
    return made


def claims(token: str) -> dict[str, Any]:
    """What a token says."""
    middle = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4))))


def session(status: SessionStatus = SessionStatus.STARTED, expires_at: datetime | None = None) -> Session:
    """A session that has started."""
    return Session(
        session_id="sess_1",
        account_id="acct_1",
        avatar_id="avat_1",
        status=status,
        aspect_ratio=AspectRatio.LANDSCAPE,
        metadata={},
        created_at=datetime.now(UTC),
        expires_at=expires_at,
    )


@pytest.mark.parametrize("asked", [UNSET, RoomRequest(platform="proxy")])
def test_proxy_and_no_room_are_a_new_room(rooms: ManagedRooms, asked: RoomRequest | UnsetType) -> None:
    """Each session has its own, the same at each repeat, at the internal address; the avatar hears the client."""
    assert requested_room(asked, HOSTS, rooms) is None
    first = made_room(rooms, "sess_1")
    assert (first.platform, first.url) == ("proxy", "ws://livekit:7880")
    assert first.managed_name == made_room(rooms, "sess_1").managed_name == "greenroom-sess_1"
    token = claims(first.token)
    assert (token["sub"], token["kind"]) == ("agenthuman-avatar-agent", "agent")
    assert token["video"]["room"] == first.managed_name
    assert token["attributes"]["lk.publish_on_behalf"] == "client"


def test_a_room_of_the_customers_own_stays_theirs(rooms: ManagedRooms) -> None:
    """It is checked as before, whether or not rooms are made here."""
    for managed in (rooms, None):
        room = requested_room(OWN, HOSTS, managed)
        assert room is not None
        assert (room.platform, room.token, room.managed_name) == ("livekit", "t", "")


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (UNSET, FailureCode.ROOM_REQUIRED),
        (RoomRequest(platform="proxy"), FailureCode.ROOM_PLATFORM_UNAVAILABLE),
        (RoomRequest(), FailureCode.INVALID_ROOM_PLATFORM),
    ],
)
def test_where_no_livekit_is_set_a_room_must_be_sent(asked: RoomRequest | UnsetType, code: FailureCode) -> None:
    """400, as contract 0 has it."""
    with pytest.raises(Refused) as caught:
        requested_room(asked, HOSTS, managed_rooms(Settings()))
    assert caught.value.code == code


def test_the_entrance_is_the_public_address_and_a_token_for_this_room(rooms: ManagedRooms) -> None:
    """The token lives as long as the session may, and a little longer; without a plan's limit 25 hours."""
    view = rooms.entrance(session(expires_at=datetime.now(UTC) + timedelta(minutes=30)))
    assert view.room_url == "wss://rooms.example"
    token = claims(view.participant_token)
    assert (token["sub"], token["video"]["room"]) == ("client", "greenroom-sess_1")
    assert 30 * 60 < token["exp"] - token["nbf"] <= 35 * 60
    unlimited = claims(rooms.entrance(session()).participant_token)
    assert unlimited["exp"] - unlimited["nbf"] == 25 * 3600
    assert view.participant_token not in repr(view)


def test_no_entrance_to_a_room_of_the_customers_own(rooms: ManagedRooms) -> None:
    """They have tokens for it themselves; and to one whose session is over there is none."""
    assert entrance(rooms, session(), made=False) is UNSET
    assert entrance(None, session(), made=True) is UNSET
    assert entrance(rooms, session(SessionStatus.ENDED), made=True) is UNSET
    assert entrance(rooms, session(), made=True) is not UNSET
