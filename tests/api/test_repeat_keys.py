"""By what repeats and duplicates are found."""

import base64
import json
from typing import Any

import pytest

from api.repeat_keys import duplicate_key, repeat_key
from api.room_requests import CheckedRoom

CLAIMS: dict[str, Any] = {"sub": "avatar", "video": {"room": "my-room", "roomJoin": True}, "exp": 1}


def token(claims: object) -> str:
    """A JWT whose signature nobody checks."""
    middle = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"head.{middle}.signature"


def room(claims: object = CLAIMS, url: str = "wss://rooms.example", **changes: Any) -> CheckedRoom:
    """A room whose token has these claims."""
    text = claims if isinstance(claims, str) else token(claims)
    return CheckedRoom(**{"url": url, "token": text, "display_name": None, **changes})


def test_an_idempotency_key_stands_alone() -> None:
    """The same key is the same create, whatever the body is; another is not; it is stored as a digest."""
    first, second = repeat_key("one", b"a", managed=True), repeat_key("one", b"b", managed=False)
    assert first == second
    assert first is not None
    assert first.keyed
    assert "one" not in first.text
    assert repeat_key("two", b"a", managed=False) != first


def test_without_a_key_the_body_counts_and_requests_for_managed_rooms_look_alike() -> None:
    """Exactly the same body is a repeat; for a room that is made for the session there are none."""
    same = repeat_key(None, b"a", managed=False)
    assert same == repeat_key("", b"a", managed=False)
    assert same is not None
    assert not same.keyed
    assert same != repeat_key(None, b"b", managed=False)
    assert repeat_key(None, b"a", managed=True) is None


@pytest.mark.parametrize(
    "other",
    [
        room(CLAIMS | {"sub": "another"}),
        room(CLAIMS | {"video": {"room": "another"}}),
        room(url="wss://rooms.example:444"),
        room(url="wss://other.example"),
    ],
)
def test_another_participant_room_or_server_is_no_duplicate(other: CheckedRoom) -> None:
    """Everything that would be another avatar in the room."""
    assert duplicate_key("acct_1", other) not in ("", duplicate_key("acct_1", room()))


def test_a_fresh_token_for_the_same_participant_is_a_duplicate() -> None:
    """Not what else is in it; another account's is none."""
    known = duplicate_key("acct_1", room())
    assert known == duplicate_key("acct_1", room(CLAIMS | {"exp": 2}, url="wss://ROOMS.example/"))
    assert known != duplicate_key("acct_2", room())
    assert "my-room" not in known


@pytest.mark.parametrize(
    "claims",
    [
        "no-jwt", "a.b", "a.!!.c", "a.W10.c", "a.bnVsbA.c", "..", "a." + "W" * 9000 + ".c", "a.\u00e9.c",
        {}, {"sub": "avatar"}, {"sub": "", "video": {"room": "r"}}, {"sub": 5, "video": {"room": "r"}},
        {"sub": "a", "video": "r"}, {"sub": "a", "video": {"room": ""}}, {"sub": "a", "video": {}}, [],
    ],
)  # fmt: skip
def test_a_token_without_room_or_identity_has_no_duplicates(claims: object) -> None:
    """Daily's name no identity, and whatever else comes as a token does not break anything."""
    assert duplicate_key("acct_1", room(claims)) == ""
