"""Which room a create gets: the customer's own, or one that is made for it."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import UNSET, UnsetType

from api.managed_rooms import ManagedRooms, entrance, managed_rooms, requested_room
from contracts.http import RoomRequest
from contracts.session_workflow import SessionStarted
from domain.failures import FailureCode, Refused
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


def started(room: str, expires_at: datetime | None = None) -> SessionStarted:
    """A session that has started."""
    return SessionStarted(
        session_id="sess_1",
        avatar_id="avat_1",
        started_at=datetime.now(UTC),
        expires_at=expires_at,
        concurrency=1,
        max_concurrency=5,
        managed_room=room,
    )


@pytest.mark.parametrize("asked", [UNSET, RoomRequest(platform="proxy")])
def test_proxy_and_no_room_are_a_new_room(rooms: ManagedRooms, asked: RoomRequest | UnsetType) -> None:
    """Each has a name that nobody can guess, the internal address, and a token for an avatar that hears the client."""
    first, second = (requested_room(asked, HOSTS, rooms) for _ in range(2))
    assert (first.platform, first.url) == ("proxy", "ws://livekit:7880")
    assert first.managed_name != second.managed_name
    assert len(first.managed_name) > 30
    token = claims(first.token)
    assert (token["sub"], token["kind"]) == ("agenthuman-avatar-agent", "agent")
    assert token["video"]["room"] == first.managed_name
    assert token["attributes"]["lk.publish_on_behalf"] == "client"


def test_a_room_of_the_customers_own_stays_theirs(rooms: ManagedRooms) -> None:
    """It is checked as before, whether or not rooms are made here."""
    for managed in (rooms, None):
        room = requested_room(OWN, HOSTS, managed)
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
    view = rooms.entrance(started("greenroom-1", datetime.now(UTC) + timedelta(minutes=30)))
    assert view.room_url == "wss://rooms.example"
    token = claims(view.participant_token)
    assert (token["sub"], token["video"]["room"]) == ("client", "greenroom-1")
    assert 30 * 60 < token["exp"] - token["nbf"] <= 35 * 60
    unlimited = claims(rooms.entrance(started("greenroom-1")).participant_token)
    assert unlimited["exp"] - unlimited["nbf"] == 25 * 3600
    assert view.participant_token not in repr(view)


def test_no_entrance_to_a_room_of_the_customers_own(rooms: ManagedRooms) -> None:
    """They have tokens for it themselves."""
    assert entrance(rooms, started("")) is UNSET
    assert entrance(None, started("greenroom-1")) is UNSET
