"""Where the contract's sources disagree (contract 11), row by row: what a client of either kind meets here."""

from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from contracts.http import RoomView
from support.api_system import ROOM, ApiSystem


@pytest.fixture
async def avatar(api_system: ApiSystem) -> str:
    """An avatar of the account."""
    return await api_system.avatar()


async def created(api: ApiSystem, **body: Any) -> dict[str, Any]:
    """A new session, as its create answered."""
    await api.a_slot_is_free()
    status, answer = await api.request("POST", "/v1/sessions", json={"room": ROOM, **body})
    assert status == 201, answer
    return dict(answer)


async def ended(api: ApiSystem, session_id: str, *, method: str = "POST") -> dict[str, Any]:
    """The answer to an end."""
    status, answer = await api.request(method, f"/v1/sessions/{session_id}/end")
    assert status == 200, answer
    return dict(answer)


async def test_one_session_by_its_older_calls(api_system: ApiSystem, avatar: str) -> None:
    """Rows `end session`, `start`, `status after create`, `token field`, `success envelope`, and DELETE (contract 3).

    PUT and POST start an already started session, which changes nothing; DELETE is refused; PUT ends, with a message;
    afterwards neither start nor DELETE is possible.
    """
    answer = await created(api_system, avatar=avatar)
    session_id, session = answer["session"]["session_id"], answer["session"]
    assert session["status"] == "started"
    assert "access_token" not in session
    assert session["session_token"]
    assert "data" not in answer
    for method in ("PUT", "POST"):
        status, started = await api_system.request(method, f"/v1/sessions/{session_id}/start")
        assert (status, started["success"], started["expiration"]) == (200, True, session["expiration"])
        assert started["ws_uri"].startswith("ws://")
        assert started["message"]
    status, refused = await api_system.request("DELETE", f"/v1/sessions/{session_id}")
    assert (status, refused["success"], refused["error"]["code"]) == (400, False, "SESSION_NOT_DELETABLE")
    end = await ended(api_system, session_id, method="PUT")
    assert (end["success"], end["session"]["status"]) == (True, "ended")
    assert end["message"] == "Session ended successfully"
    assert (await ended(api_system, session_id))["session"] == end["session"]
    for method, path, code in (("POST", "/start", "SESSION_ENDED"), ("DELETE", "", "SESSION_NOT_DELETABLE")):
        status, refused = await api_system.request(method, f"/v1/sessions/{session_id}{path}")
        assert (status, refused["error"]["code"]) == (400, code)


@pytest.mark.parametrize(("method", "path"), [("PUT", "/end"), ("PUT", "/start"), ("POST", "/start"), ("DELETE", "")])
async def test_older_calls_find_no_session_of_another_account(api_system: ApiSystem, method: str, path: str) -> None:
    """404 `Session not found`, and 401 without a key, as for the present ones (contract 0 and 1)."""
    status, answer = await api_system.request(method, f"/v1/sessions/sess_nobody{path}")
    assert (status, answer["error"]["message"]) == (404, "Session not found")
    assert await api_system.request(method, f"/v1/sessions/sess_nobody{path}", key=None) == (
        401,
        {"error": "API key required"},
    )


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"avatar": "A"}, "A"),
        ({"avatar_id": "A"}, "A"),
        ({"avatar_image_url": "A"}, "A"),
        ({"avatar": "A", "avatar_id": "avat_nobody"}, "A"),
        ({"avatar": "", "avatar_id": "A", "avatar_image_url": "avat_nobody"}, "A"),
    ],
)
async def test_the_avatar_has_three_names(
    api_system: ApiSystem, avatar: str, fields: dict[str, str], shown: str
) -> None:
    """Row `avatar field`: `avatar`, else `avatar_id`, else `avatar_image_url`."""
    named = {name: avatar if value == shown else value for name, value in fields.items()}
    session = (await created(api_system, **named))["session"]
    assert session["avatar"]["avatar_id"] == avatar
    await ended(api_system, session["session_id"])


@pytest.mark.parametrize(
    ("asked", "answered"), [("4:3", "4:3"), ("3:4", "3:4"), ("1:1", "1:1"), ("auto", "4:3"), (None, "4:3")]
)
async def test_four_words_are_a_ratio(api_system: ApiSystem, avatar: str, asked: str | None, answered: str) -> None:
    """Rows `aspect ratio` and `aspect default`: the three, `auto`, and 4:3 where none is named."""
    body = {"aspect_ratio": asked} if asked else {}
    session = (await created(api_system, avatar=avatar, **body))["session"]
    assert session["aspect_ratio"] == answered
    await ended(api_system, session["session_id"])


@pytest.mark.parametrize(
    ("platform", "code"),
    [
        ("daily", "ROOM_PLATFORM_UNAVAILABLE"),
        ("proxy", "ROOM_PLATFORM_UNAVAILABLE"),
        ("zoom", "INVALID_ROOM_PLATFORM"),
    ],
)
async def test_a_platform_that_is_not_set_up_is_told_from_one_that_never_was(
    api_system: ApiSystem, avatar: str, platform: str, code: str
) -> None:
    """Row `room platform`: three are known; which of them work is the operator's choice. 16:9 is no ratio."""
    body = {"avatar": avatar, "room": {**ROOM, "platform": platform}}
    status, answer = await api_system.request("POST", "/v1/sessions", json=body)
    assert (status, answer["error"]["code"]) == (400, code)
    body = {"avatar": avatar, "room": ROOM, "aspect_ratio": "16:9"}
    status, answer = await api_system.request("POST", "/v1/sessions", json=body)
    assert (status, answer["error"]["code"]) == (400, "INVALID_ASPECT_RATIO")


def test_the_room_in_an_answer_has_the_clients_names() -> None:
    """Row `room shape in the response`: `roomURL` and `participantToken`, as Pipecat's service reads them."""
    view = RoomView(room_url="wss://rooms.example", participant_token="t")
    assert msgspec.to_builtins(view) == {"roomURL": "wss://rooms.example", "participantToken": "t"}


async def test_errors_are_strings_before_the_key_and_objects_after(api_system: ApiSystem) -> None:
    """Row `error body`: authentication answers a sentence, all else an object with a code."""
    assert await api_system.request("GET", "/v1/avatars", key=None) == (401, {"error": "API key required"})
    _, answer = await api_system.request("GET", "/v1/sessions/sess_nobody")
    assert answer["success"] is False
    assert answer["error"].keys() >= {"message", "code"}


async def test_a_running_session_is_started_but_active_in_the_usage(api_system: ApiSystem, avatar: str) -> None:
    """Row `active status name`: `started` everywhere, `active` among the usage's `active_sessions`."""
    session_id = (await created(api_system, avatar=avatar))["session"]["session_id"]
    _, usage = await api_system.request("GET", "/v1/usage")
    (active,) = [one for one in usage["usage"]["active_sessions"] if one["session_id"] == session_id]
    _, read = await api_system.request("GET", f"/v1/sessions/{session_id}")
    _, listed = await api_system.request("GET", "/v1/sessions?status=started")
    (started,) = [one for one in listed["sessions"] if one["session_id"] == session_id]
    assert (active["status"], active["ended_at"]) == ("active", None)
    assert read["session"]["status"] == started["status"] == "started"
    await ended(api_system, session_id)


async def test_avatars_come_in_two_lists(api_system: ApiSystem, avatar: str) -> None:
    """Row `avatar list`: `public_avatars` and `my_avatars`, no `avatars`."""
    status, answer = await api_system.request("GET", "/v1/avatars")
    assert (status, answer.keys()) == (200, {"success", "public_avatars", "my_avatars"})
    assert avatar in [one["avatar_id"] for one in answer["my_avatars"]]


@pytest.mark.parametrize("encoded", [False, True])
async def test_ids_with_slashes_are_ids(api_system: ApiSystem, encoded: bool) -> None:
    """Row `public avatar ids`: a path-like id in an address, plain or URL-encoded, names one avatar (contract 4).

    A public one is nobody's to delete; the answer is that of an id that nobody has.
    """
    wanted = "PUBLIC/Avatars/sara-office"
    status, answer = await api_system.request("DELETE", f"/v1/avatars/{quote(wanted, safe='') if encoded else wanted}")
    assert (status, answer["error"]["code"]) == (404, "AVATAR_NOT_FOUND")
    status, answer = await api_system.request("POST", "/v1/sessions", json={"avatar": wanted, "room": ROOM})
    assert (status, answer["error"]["code"]) == (404, "AVATAR_NOT_FOUND")
