"""The bodies of the public API: what clients send is read, what they read is there."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from contracts.http import (
    CreateSessionRequest,
    ErrorBody,
    ErrorView,
    RoomRequest,
    SessionAvatarView,
    SessionView,
    UploadFaceRequest,
    instant,
)

LIVEKIT_PLUGIN = b"""{"avatar": "avat_01KMZJ4WE5QCD9G3EK21QW8NJK", "room": {"platform": "livekit",
    "url": "http://localhost:7880", "token": "eyJ"}, "voice": {"speed": 1}, "room_id": null}"""
PIPECAT = b"""{"avatar": "avat_01KMZHXFPBVCXA5ATK85HCP8G1", "aspect_ratio": "auto", "room": {"platform": "proxy"}}"""


def created(body: bytes) -> CreateSessionRequest:
    """A create as the API reads it."""
    return msgspec.json.decode(body, type=CreateSessionRequest)


def test_both_public_clients_are_understood() -> None:
    """What the plugin merges in at top level is ignored; what the Pipecat service leaves out is missing, not null."""
    plugin, pipecat = created(LIVEKIT_PLUGIN), created(PIPECAT)
    assert plugin.room == RoomRequest(platform="livekit", url="http://localhost:7880", token="eyJ")
    assert plugin.aspect_ratio is UNSET
    assert plugin.metadata is UNSET
    assert pipecat.room == RoomRequest(platform="proxy")
    assert pipecat.aspect_ratio == "auto"


@pytest.mark.parametrize("field", ["avatar", "avatar_id", "avatar_image_url", "aspect_ratio", "room", "metadata"])
def test_null_is_not_a_missing_field(field: str) -> None:
    """The contract refuses null metadata; so is every other null."""
    with pytest.raises(msgspec.ValidationError, match=field):
        created(msgspec.json.encode({field: None}))


@pytest.mark.parametrize("value", [[1], "x", 3, True, None])
def test_metadata_is_an_object(value: Any) -> None:
    """Nothing else, and no number is taken for one."""
    with pytest.raises(msgspec.ValidationError):
        created(msgspec.json.encode({"metadata": value}))


def test_an_upload_ignores_what_it_does_not_know() -> None:
    """Clients send extras."""
    request = msgspec.json.decode(b'{"image_base64": "QQ==", "name": "me"}', type=UploadFaceRequest)
    assert request == UploadFaceRequest(image_base64="QQ==")


def view(**changes: Any) -> dict[str, Any]:
    """A session as a client gets it."""
    usual: dict[str, Any] = {
        "session_id": "sess_1",
        "status": "started",
        "started_at": None,
        "ended_at": None,
        "expiration": None,
        "aspect_ratio": "4:3",
        "duration": 0,
        "metadata": {},
        "end_reason": None,
        "avatar": SessionAvatarView(avatar_id="avat_1"),
    }
    body: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(SessionView(**(usual | changes))))
    return body


def test_a_session_shows_every_field_and_its_token_only_once() -> None:
    """What is not known yet is null; the token is left out unless this is the answer to a create."""
    assert set(view()) == {
        "session_id", "status", "started_at", "ended_at", "expiration", "aspect_ratio", "duration", "metadata",
        "end_reason", "avatar", "billing",
    }  # fmt: skip
    assert view()["ended_at"] is None
    assert view(session_token="k1.x")["session_token"] == "k1.x"


def test_an_error_leaves_out_what_it_does_not_have() -> None:
    """`suggestion` and `details` are optional in the documented shape, not null."""
    error = ErrorView(error=ErrorBody(message="words", code="CODE"))
    assert msgspec.json.decode(msgspec.json.encode(error)) == {
        "success": False,
        "error": {"message": "words", "code": "CODE"},
    }


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        (datetime(2024, 1, 15, 10, 30, tzinfo=UTC), "2024-01-15T10:30:00.000Z"),
        (datetime(2024, 1, 15, 10, 30, 0, 123_999, tzinfo=UTC), "2024-01-15T10:30:00.123Z"),
        (datetime(2024, 1, 15, 12, 30, tzinfo=timezone(timedelta(hours=2))), "2024-01-15T10:30:00.000Z"),
    ],
)
def test_a_moment_is_shown_in_utc_with_z(moment: datetime, shown: str) -> None:
    """ISO 8601 with milliseconds, whatever zone it came in."""
    assert instant(moment) == shown
