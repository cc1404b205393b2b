"""Rooms in requests: what is missing is named, and an address leads only where avatars may go."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from api.room_requests import check_room, daily_url, room_url
from api.session_requests import check_create, times_of
from contracts.http import CreateSessionRequest, RoomRequest
from contracts.session_workflow import CreateSessionInput
from domain.failures import FailureCode, Refused
from runtime.settings import Settings

ANY = frozenset({"*"})
ONE = frozenset({"room.example", "::1"})


@pytest.mark.parametrize(
    ("asked", "reached"),
    [
        ("ws://room.example", "ws://room.example"),
        ("wss://room.example:7880/", "wss://room.example:7880"),
        ("http://room.example:7880", "ws://room.example:7880"),
        ("HTTPS://Room.Example/rtc/", "wss://room.example/rtc"),
        ("ws://[::1]:7880", "ws://[::1]:7880"),
        ("wss://room.example/?access_token=secret", "wss://room.example"),
        ("wss://room.example/a#secret", "wss://room.example/a"),
    ],
)
def test_an_address_is_reduced_to_what_is_needed(asked: str, reached: str) -> None:
    """HTTP schemes become their WebSocket ones (contract 8); query and fragment, which may be secret, go."""
    assert room_url(asked, ONE) == reached


@pytest.mark.parametrize(
    "asked",
    ["", "room.example", "ftp://room.example", "//room.example", "ws://", "ws://:7880", "ws://room.example:99999",
     "ws://room.example:port", "ws://[::1", "ws://me@room.example", "ws://me:word@room.example", "ws://:word@room.example"],
)  # fmt: skip
def test_what_is_no_room_address_is_refused(asked: str) -> None:
    """Also where any host is allowed; a name or password in it would end up in histories."""
    with pytest.raises(Refused) as caught:
        room_url(asked, ANY)
    assert caught.value.code == FailureCode.INVALID_ROOM
    assert "word" not in caught.value.message


@pytest.mark.parametrize(
    "asked",
    ["ws://evil.example", "ws://room.example.evil.example", "ws://evil.example/room.example",
     "ws://evil.example#@room.example", "ws://evil.example?room.example", "ws://evil.example\\.room.example",
     "ws://169.254.169.254", "ws://127.0.0.1", "ws://room.example.", "ws://sub.room.example", "ws://[::2]"],
)  # fmt: skip
def test_an_avatar_is_sent_to_no_other_host(asked: str) -> None:
    """The host is compared as a whole, after everything that only looks like one was taken apart."""
    with pytest.raises(Refused) as caught:
        room_url(asked, ONE)
    assert caught.value.code == FailureCode.ROOM_HOST_NOT_ALLOWED


def test_without_an_allow_list_no_host_is_allowed() -> None:
    """An operator who forgot the setting has a closed door, not an open one; `*` opens it."""
    with pytest.raises(Refused) as caught:
        room_url("ws://room.example", frozenset())
    assert caught.value.code == FailureCode.ROOM_HOST_NOT_ALLOWED
    assert room_url("ws://room.example", ANY) == "ws://room.example"


ROOM = {"platform": "livekit", "url": "ws://room.example", "token": "t"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"platform": "proxy"}, FailureCode.ROOM_PLATFORM_UNAVAILABLE),
        ({"platform": "daily"}, FailureCode.ROOM_PLATFORM_UNAVAILABLE),
        ({"platform": "LiveKit"}, FailureCode.INVALID_ROOM_PLATFORM),
        ({"platform": ""}, FailureCode.INVALID_ROOM_PLATFORM),
        ({"url": ""}, FailureCode.INVALID_ROOM),
        ({"token": ""}, FailureCode.INVALID_ROOM),
    ],
)
def test_a_room_with_a_wrong_part_is_refused_by_its_code(changes: dict[str, Any], code: FailureCode) -> None:
    """Platforms that are known but not enabled are told apart from those that never were."""
    with pytest.raises(Refused) as caught:
        check_room(RoomRequest(**{**ROOM, **changes}), ONE)
    assert caught.value.code == code


@pytest.mark.parametrize(("field", "most"), [("url", 2048), ("token", 16_384), ("display_name", 256)])
def test_no_part_of_a_room_is_endless(field: str, most: int) -> None:
    """Temporal would refuse the workflow's input, and the client would be told that we failed."""
    start = ROOM["url"] + "/" if field == "url" else ""
    check_room(RoomRequest(**{**ROOM, field: start.ljust(most, "x")}), ONE)
    with pytest.raises(Refused, match=f"room.{field} is too long") as caught:
        check_room(RoomRequest(**{**ROOM, field: start.ljust(most + 1, "x")}), ONE)
    assert (caught.value.code, caught.value.details) == (FailureCode.INVALID_ROOM, {"max_length": most})


@pytest.mark.parametrize("missing", ["platform", "url", "token"])
def test_a_room_with_a_missing_part_names_it(missing: str) -> None:
    """The message says which field to send."""
    fields = {name: value for name, value in ROOM.items() if name != missing}
    with pytest.raises(Refused, match=f"room.{missing} is required"):
        check_room(RoomRequest(**fields), ONE)


def test_a_missing_room_is_its_own_code() -> None:
    """Managed rooms are not there yet, so a room is required."""
    with pytest.raises(Refused) as caught:
        check_room(UNSET, ONE)
    assert caught.value.code == FailureCode.ROOM_REQUIRED


def test_a_good_room_keeps_its_token_and_name() -> None:
    """The token is passed on for sealing, untouched."""
    room = check_room(RoomRequest(**ROOM, display_name="Sara"), ONE)
    assert (room.platform, room.url, room.token, room.display_name) == ("livekit", "ws://room.example", "t", "Sara")
    assert check_room(RoomRequest(**ROOM), ONE).display_name is None


DAILY_HOSTS = frozenset({"greenroom.daily.co", "room.example"})
DAILY = {"platform": "daily", "url": "https://greenroom.daily.co/stage", "token": "t"}


def test_a_room_of_daily_is_taken_where_the_operator_switched_them_on() -> None:
    """Row `when the avatar joins` (contract 11): at create, like any other room.

    With its platform, an address without the token that people copy along, and the avatar's name.
    """
    sent = {**DAILY, "url": "https://Greenroom.daily.co/stage/?t=secret#x", "display_name": "Sara"}
    room = check_room(RoomRequest(**sent), DAILY_HOSTS, daily=True)
    assert (room.platform, room.url, room.display_name) == ("daily", "https://greenroom.daily.co/stage", "Sara")
    with pytest.raises(Refused) as caught:
        check_room(RoomRequest(**sent), DAILY_HOSTS)
    assert caught.value.code == FailureCode.ROOM_PLATFORM_UNAVAILABLE
    assert caught.value.details == {"available": ["livekit"]}
    with pytest.raises(Refused) as caught:
        check_room(RoomRequest(**{**DAILY, "platform": "proxy"}), DAILY_HOSTS, daily=True)
    assert caught.value.details == {"available": ["livekit", "daily"]}


@pytest.mark.parametrize(
    "asked",
    ["http://greenroom.daily.co/stage", "wss://greenroom.daily.co/stage", "https://greenroom.daily.co",
     "https://greenroom.daily.co/", "https://greenroom.daily.co/stage/more", "https://greenroom.daily.co:8443/stage",
     "https://room.example/stage", "https://daily.co/stage", "https://greenroom.daily.co.evil.example/stage",
     "https://notdaily.co/stage", "https://me:word@greenroom.daily.co/stage", ""],
)  # fmt: skip
def test_what_is_no_room_of_daily_is_refused(asked: str) -> None:
    """The library would ask Daily's own servers about it, whatever host it names."""
    with pytest.raises(Refused) as caught:
        daily_url(asked, ANY)
    assert caught.value.code == FailureCode.INVALID_ROOM
    assert "word" not in caught.value.message


def test_the_allow_list_holds_for_daily_too() -> None:
    """Another customer's domain is another host."""
    with pytest.raises(Refused) as caught:
        daily_url("https://other.daily.co/stage", DAILY_HOSTS)
    assert caught.value.code == FailureCode.ROOM_HOST_NOT_ALLOWED


@pytest.mark.parametrize("missing", ["url", "token"])
def test_a_room_of_daily_needs_address_and_token(missing: str) -> None:
    """Also a public one: the token is what a room's own people give the avatar."""
    fields = {name: value for name, value in DAILY.items() if name != missing}
    with pytest.raises(Refused, match=f"room.{missing} is required"):
        check_room(RoomRequest(**fields), DAILY_HOSTS, daily=True)


@pytest.mark.parametrize("switched_on", [True, False])
def test_the_operators_setting_decides_about_daily(switched_on: bool) -> None:
    """It is read at each create; the avatar servers are not asked."""
    settings = Settings(daily_rooms=switched_on, room_hosts="greenroom.daily.co")
    services: Any = SimpleNamespace(settings=settings, managed_rooms=None)
    request = CreateSessionRequest(avatar="avat_1", room=RoomRequest(**DAILY))
    if switched_on:
        room = check_create(services, request).room
        assert room is not None
        assert room.platform == "daily"
        return
    with pytest.raises(Refused) as caught:
        check_create(services, request)
    assert caught.value.code == FailureCode.ROOM_PLATFORM_UNAVAILABLE


def test_an_operators_times_reach_the_workflow() -> None:
    """Each under its own name in the input: a session keeps those that it was created with."""
    settings = Settings(
        nobody_joined_s=1, participants_left_s=2, agent_left_s=3, failover_within_s=4, heartbeat_within_s=5
    )
    assert {name: time.total_seconds() for name, time in times_of(settings).items()} == {
        "nobody_joined_after": 1,
        "participants_left_after": 2,
        "agent_left_after": 3,
        "failover_within": 4,
        "heartbeat_within": 5,
    }
    usual = times_of(Settings())
    assert usual == {name: default_of(name) for name in usual}


def default_of(name: str) -> object:
    """A field's default in the input."""
    return next(one.default for one in msgspec.structs.fields(CreateSessionInput) if one.name == name)
