"""Sessions over HTTP: the contract's answers and its refusals, on a real database, store and Temporal."""

import asyncio
import base64
from typing import Any

import pytest
from ulid import ULID

from support.api_system import KEY, ROOM, ApiSystem, new_picture
from support.eventually import eventually
from support.fake_avatar_server import DEAD_HOST


async def created(api: ApiSystem, **changes: Any) -> dict[str, Any]:
    """A new session, as the create answered."""
    avatar = changes.pop("avatar", None) or await api.avatar()
    await api.a_slot_is_free()
    status, body = await api.request("POST", "/v1/sessions", json={"avatar": avatar, "room": ROOM, **changes})
    assert status == 201, body
    return body


async def ended(api: ApiSystem, session_id: str) -> dict[str, Any]:
    """The session, after it was told to end."""
    status, body = await api.request("POST", f"/v1/sessions/{session_id}/end")
    assert status == 200, body
    return body


async def test_a_create_answers_as_the_contract_says(api_system: ApiSystem) -> None:
    """Session, usage and message have the fields and types that the public clients read."""
    body = await created(api_system, metadata={"call": {"id": 7}}, aspect_ratio="3:4")
    session = body["session"]
    assert body["success"] is True
    assert body["message"] == "Session created successfully"
    assert session["session_id"].startswith("sess_")
    assert session["status"] == "started"
    assert session["session_token"].startswith("k1.")
    assert session["started_at"].endswith("Z")
    assert session["ended_at"] is None
    assert session["expiration"] is None
    assert session["end_reason"] is None
    assert session["aspect_ratio"] == "3:4"
    assert session["duration"] == 0
    assert type(session["duration"]) is int
    assert session["metadata"] == {"call": {"id": 7}}
    assert session["avatar"]["avatar_id"].startswith("avat_")
    concurrency = body["usage"]["concurrency"]
    assert concurrency["current"] >= 1
    assert concurrency["available"] == concurrency["max"] - concurrency["current"]
    assert body["usage"]["minutes"]["total_remaining"] == 1_000_000
    await ended(api_system, session["session_id"])


async def test_the_concurrency_is_the_real_one(api_system: ApiSystem) -> None:
    """Each session that runs counts, and an end gives its place back."""
    first, second = await created(api_system), await created(api_system)
    assert second["usage"]["concurrency"]["current"] == first["usage"]["concurrency"]["current"] + 1
    await ended(api_system, first["session"]["session_id"])
    third = await created(api_system)
    assert third["usage"]["concurrency"]["current"] == second["usage"]["concurrency"]["current"]
    for body in (second, third):
        await ended(api_system, body["session"]["session_id"])


async def test_an_end_is_recorded_and_safe_to_repeat(api_system: ApiSystem) -> None:
    """The second end answers with the first one's time and reason; the avatar leaves and its slot is free again."""
    session_id = (await created(api_system))["session"]["session_id"]
    first, second = await ended(api_system, session_id), await ended(api_system, session_id)
    assert first["success"] is True
    assert first["session"]["status"] == "ended"
    assert first["session"]["end_reason"] == "ended_by_request"
    assert first["session"] == second["session"]
    await eventually(lambda: (session_id, 1) not in api_system.server.serving)


async def test_two_ends_at_once_are_one(api_system: ApiSystem) -> None:
    """Both are answered with the same end."""
    session_id = (await created(api_system))["session"]["session_id"]
    first, second = await asyncio.gather(ended(api_system, session_id), ended(api_system, session_id))
    assert first["session"]["ended_at"] == second["session"]["ended_at"]


async def test_a_session_can_be_read_while_it_runs_and_afterwards(api_system: ApiSystem) -> None:
    """The same session, without its token, with a duration that grows and then stands still."""
    session_id = (await created(api_system))["session"]["session_id"]
    await asyncio.sleep(1.1)
    status, running = await api_system.request("GET", f"/v1/sessions/{session_id}")
    assert status == 200
    assert running["session"]["status"] == "started"
    assert running["session"]["duration"] >= 1
    assert "session_token" not in running["session"]
    end = (await ended(api_system, session_id))["session"]
    _, after = await api_system.request("GET", f"/v1/sessions/{session_id}")
    assert after["session"] == end


async def test_another_account_sees_nothing_of_a_session(api_system: ApiSystem) -> None:
    """Reading or ending a foreign session is like asking for one that never was."""
    session_id = (await created(api_system))["session"]["session_id"]
    other = await api_system.account()
    for method, path in (("GET", ""), ("POST", "/end")):
        foreign = await api_system.request(method, f"/v1/sessions/{session_id}{path}", key=other)
        unknown = await api_system.request(method, f"/v1/sessions/sess_nobody{path}")
        assert foreign == unknown
        assert foreign[0] == 404
        assert foreign[1]["error"]["message"] == "Session not found"
    await ended(api_system, session_id)


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,", "https://pictures.example/"])
async def test_a_picture_becomes_the_sessions_avatar(api_system: ApiSystem, prefix: str) -> None:
    """Base64, data URIs and addresses are made into an avatar of the account, and nothing staged stays."""
    picture = f"FACE-{ULID()}" if prefix.startswith("https") else new_picture()
    session = (await created(api_system, avatar=f"{prefix}{picture}"))["session"]
    _, listed = await api_system.request("GET", "/v1/avatars")
    assert session["avatar"]["avatar_id"] in [a["avatar_id"] for a in listed["my_avatars"]]
    await ended(api_system, session["session_id"])
    staged = api_system.settings.data_path / "objects" / "staging"
    await eventually(lambda: not any(path.is_file() for path in staged.rglob("*")))


@pytest.mark.parametrize("prefix", ["", "https://pictures.example/"])
async def test_the_same_picture_is_not_made_into_an_avatar_twice(api_system: ApiSystem, prefix: str) -> None:
    """A session with a picture that the account has sent before, in whatever form, shows the avatar that it became."""
    face = f"FACE-{ULID()}"
    _, uploaded = await api_system.request(
        "POST", "/v1/avatars/upload-face", files={"file": ("face.png", face.encode())}
    )
    avatar = f"{prefix}{face}" if prefix else base64.b64encode(face.encode() * 5).decode()
    if not prefix:
        _, uploaded = await api_system.request("POST", "/v1/avatars/upload-face", json={"image_base64": avatar})
    before = await api_system.traces()
    session = (await created(api_system, avatar=avatar))["session"]
    assert session["avatar"]["avatar_id"] == uploaded["avatar_id"]
    await ended(api_system, session["session_id"])
    after = await api_system.traces()
    assert (after["avatars"], after["objects"]) == (before["avatars"], before["objects"])


async def test_older_names_and_extra_fields_are_taken(api_system: ApiSystem) -> None:
    """`avatar_id` stands in for `avatar` (contract 11), and what clients add is ignored."""
    avatar_id = await api_system.avatar()
    body = {"avatar_id": avatar_id, "room": {**ROOM, "extra": 1}, "video": True, "aspect_ratio": "auto"}
    status, answer = await api_system.request("POST", "/v1/sessions", json=body)
    assert status == 201, answer
    assert answer["session"]["aspect_ratio"] == "4:3"
    await ended(api_system, answer["session"]["session_id"])


REFUSED = [
    ({"room": ROOM}, 400, "AVATAR_REQUIRED"),
    ({"avatar": "", "room": ROOM}, 400, "AVATAR_REQUIRED"),
    ({"avatar": 5, "room": ROOM}, 400, "INVALID_AVATAR"),
    ({"avatar": "AVATAR"}, 400, "ROOM_REQUIRED"),
    ({"avatar": "AVATAR", "room": "ws://room"}, 400, "INVALID_ROOM"),
    ({"avatar": "AVATAR", "room": {**ROOM, "platform": "zoom"}}, 400, "INVALID_ROOM_PLATFORM"),
    ({"avatar": "AVATAR", "room": {"url": "ws://r", "token": "t"}}, 400, "INVALID_ROOM_PLATFORM"),
    ({"avatar": "AVATAR", "room": {"platform": "proxy"}}, 400, "ROOM_PLATFORM_UNAVAILABLE"),
    ({"avatar": "AVATAR", "room": {**ROOM, "url": "ftp://room"}}, 400, "INVALID_ROOM"),
    ({"avatar": "AVATAR", "room": {**ROOM, "url": "ws://user:word@room"}}, 400, "INVALID_ROOM"),
    ({"avatar": "AVATAR", "room": {"platform": "livekit", "url": "ws://r"}}, 400, "INVALID_ROOM"),
    ({"avatar": "AVATAR", "room": ROOM, "aspect_ratio": "16:9"}, 400, "INVALID_ASPECT_RATIO"),
    ({"avatar": "AVATAR", "room": ROOM, "aspect_ratio": 43}, 400, "INVALID_ASPECT_RATIO"),
    ({"avatar": "AVATAR", "room": ROOM, "metadata": None}, 400, "INVALID_METADATA"),
    ({"avatar": "AVATAR", "room": ROOM, "metadata": [1]}, 400, "INVALID_METADATA"),
    ({"avatar": "AVATAR", "room": ROOM, "metadata": "x"}, 400, "INVALID_METADATA"),
    ({"avatar": "AVATAR", "room": ROOM, "metadata": 3}, 400, "INVALID_METADATA"),
    ({"avatar": "AVATAR", "room": ROOM, "metadata": False}, 400, "INVALID_METADATA"),
    ({"avatar": "avat_nobody", "room": ROOM}, 404, "AVATAR_NOT_FOUND"),
    ({"avatar": "sara", "room": ROOM}, 404, "AVATAR_NOT_FOUND"),
    ({"avatar": "https://example.com/a.png", "room": ROOM}, 400, "IMAGE_DAMAGED"),
    ({"avatar": "https://user:word@example.com/FACE", "room": ROOM}, 400, "IMAGE_URL_NOT_ALLOWED"),
    ({"avatar": "https://169.254.169.254/FACE", "room": ROOM}, 400, "IMAGE_URL_NOT_ALLOWED"),
    ({"avatar": "data:image/png,raw", "room": ROOM}, 400, "INVALID_IMAGE_INPUT"),
    ({"avatar": "!" * 200, "room": ROOM}, 400, "INVALID_IMAGE_INPUT"),
    ({"avatar": "A" * (14 * 2**20), "room": ROOM}, 400, "IMAGE_TOO_LARGE"),
    ({"avatar": "A" * (16 * 2**20), "room": ROOM}, 400, "IMAGE_TOO_LARGE"),
    ({"avatar": "Tk8gRkFDRSE" * 40, "room": ROOM}, 400, "NO_FACE"),
    ({"avatar": "bm90IGEgcGljdHVyZSE" * 40, "room": ROOM}, 400, "IMAGE_DAMAGED"),
    ({"avatar": "AVATAR", "room": {**ROOM, "url": f"ws://{DEAD_HOST}"}}, 400, "ROOM_UNREACHABLE"),
    ({"avatar": new_picture(), "room": {**ROOM, "url": f"ws://{DEAD_HOST}"}}, 400, "ROOM_UNREACHABLE"),
]


AFTER_ADMISSION = ("ROOM_UNREACHABLE", "IMAGE_DAMAGED", "NO_FACE")


@pytest.mark.parametrize(
    ("body", "status", "code"), REFUSED, ids=[f"{n}-{code}" for n, (_, _, code) in enumerate(REFUSED)]
)
async def test_a_refused_create_has_its_code_and_leaves_nothing(
    api_system: ApiSystem, body: dict[str, Any], status: int, code: str
) -> None:
    """Every refusal is shape 1 with a stable code, and there is no more object, seat, lease or row than before.

    A picture or a room that was refused after admission leaves its ended session (design rule 6).
    """
    if body.get("avatar") == "AVATAR":
        body = {**body, "avatar": await api_system.avatar()}
    before = await api_system.traces()
    found, answer = await api_system.request("POST", "/v1/sessions", json=body)
    assert (found, answer["success"], answer["error"]["code"]) == (status, False, code)
    assert answer["error"]["message"]
    after = await api_system.traces()
    if code in AFTER_ADMISSION:
        before["sessions"], before["session_events"] = before["sessions"] + 1, before["session_events"] + 2
        before["leases"] += code == "ROOM_UNREACHABLE"
    assert after == before


async def test_a_body_that_is_not_json_is_named_so(api_system: ApiSystem) -> None:
    """Whatever the bytes are, the answer is a 400 of shape 1."""
    for content in (b"{", b"", b"\xff\xfe", b"[1]", b"null"):
        headers = {"Content-Type": "application/json"}
        status, body = await api_system.request("POST", "/v1/sessions", content=content, headers=headers)
        assert status == 400
        assert body["error"]["code"] in ("INVALID_JSON", "INVALID_REQUEST", "AVATAR_REQUIRED")


async def test_a_foreign_avatar_is_denied_in_the_documented_words(api_system: ApiSystem) -> None:
    """403 with a suggestion, and nothing done."""
    avatar_id = await api_system.avatar()
    other = await api_system.account()
    body = {"avatar": avatar_id, "room": ROOM}
    status, answer = await api_system.request("POST", "/v1/sessions", key=other, json=body)
    assert status == 403
    assert answer["error"]["message"] == "Access denied to this avatar"
    assert answer["error"]["suggestion"]


@pytest.mark.parametrize(("key", "words"), [(None, "API key required"), (KEY + "x", "Invalid API key")])
async def test_without_a_known_key_nothing_is_answered(api_system: ApiSystem, key: str | None, words: str) -> None:
    """Authentication errors are plain strings without `success` (contract 1, shape 2)."""
    for method, path in (("POST", "/v1/sessions"), ("GET", "/v1/sessions/sess_1"), ("GET", "/v1/avatars")):
        assert await api_system.request(method, path, key=key, json={}) == (401, {"error": words})


async def test_no_free_server_is_503_with_retry_after(api_system: ApiSystem) -> None:
    """K slots take K sessions; the next one is told to come back, and succeeds once a slot is free."""
    avatar = await api_system.avatar()
    running = [(await created(api_system, avatar=avatar))["session"]["session_id"] for _ in range(3)]
    request = {"json": {"avatar": avatar, "room": ROOM, "wait_up_to": 0}, "headers": {"x-api-key": KEY}}
    response = await api_system.http.post("/v1/sessions", **request)
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "AT_CAPACITY"
    assert response.json()["error"]["details"] == {"ahead": 0, "waiting": 0}
    assert int(response.headers["Retry-After"]) >= 1
    for session_id in running:
        await ended(api_system, session_id)
    await eventually(lambda: not api_system.server.serving)
    await api_system.server.renew()
    await ended(api_system, (await created(api_system, avatar=avatar))["session"]["session_id"])
