"""Avatars over HTTP: uploads in every form, the list, and the signed addresses."""

from typing import Any

import pytest
from httpx import URL
from sqlalchemy import update

from api.auth import key_hash
from database.engine import writing
from database.instants import db_now
from database.tables import api_keys
from support.api_system import KEY, PICTURE, ApiSystem
from support.fake_faces import FACE, NO_FACE


async def upload(api: ApiSystem, **how: Any) -> tuple[int, Any]:
    """One upload."""
    return await api.request("POST", "/v1/avatars/upload-face", **how)


@pytest.mark.parametrize(
    "how",
    [
        {"files": {"file": ("face.png", FACE, "image/png")}},
        {"json": {"image_base64": PICTURE}},
        {"json": {"image_base64": f"data:image/png;base64,{PICTURE}", "more": 1}},
        {"files": {"image_base64": (None, PICTURE)}},
    ],
    ids=["file", "base64", "data-uri", "form-text"],
)
async def test_a_face_can_be_uploaded_in_each_form(api_system: ApiSystem, how: dict[str, Any]) -> None:
    """The answer has the id and two addresses, and the avatar is in the account's own list."""
    status, body = await upload(api_system, **how)
    assert status == 201, body
    assert body["success"] is True
    _, listed = await api_system.request("GET", "/v1/avatars")
    mine = {avatar["avatar_id"]: avatar for avatar in listed["my_avatars"]}
    assert mine[body["avatar_id"]]["tags"] == ["user_exclusive", f"user_{api_system.account_id}"]
    assert mine[body["avatar_id"]]["image_url"] == body["image_url"]


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"json": {}}, "INVALID_IMAGE_INPUT"),
        ({"json": {"image_base64": PICTURE, "image_url": "https://e.example/a"}}, "INVALID_IMAGE_INPUT"),
        ({"json": {"image_base64": 5}}, "INVALID_IMAGE_INPUT"),
        ({"json": {"image_url": "https://e.example/a.png"}}, "URL_INPUT_DISABLED"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, "INVALID_JSON"),
        ({"content": FACE, "headers": {"Content-Type": "image/png"}}, "INVALID_IMAGE_INPUT"),
        ({"files": {"file": ("a.png", b"")}}, "INVALID_IMAGE_INPUT"),
        ({"files": {"file": ("a.png", FACE), "image_base64": (None, PICTURE)}}, "INVALID_IMAGE_INPUT"),
        ({"files": {"file": ("a.png", b"x" * (10 * 2**20 + 1))}}, "IMAGE_TOO_LARGE"),
        ({"files": {"file": ("a.png", b"no picture")}}, "IMAGE_DAMAGED"),
        ({"files": {"file": ("a.png", NO_FACE)}}, "NO_FACE"),
    ],
)
async def test_a_refused_upload_has_its_code_and_leaves_nothing(
    api_system: ApiSystem, how: dict[str, Any], code: str
) -> None:
    """400 with a code and a suggestion, and no more object or row than before."""
    before = await api_system.traces()
    status, body = await upload(api_system, **how)
    assert (status, body["error"]["code"]) == (400, code)
    assert await api_system.traces() == before


async def test_the_addresses_in_an_answer_serve_the_picture_without_a_key(api_system: ApiSystem) -> None:
    """The signature is the credential; a changed key, expiry or signature is refused."""
    _, body = await upload(api_system, files={"file": ("face.png", FACE)})
    address = URL(body["image_url"])
    good = await api_system.http.get(address.raw_path.decode())
    assert (good.status_code, good.content) == (200, FACE)
    assert good.headers["Content-Type"] == "image/jpeg"
    assert "private" in good.headers["Cache-Control"]
    for changed in (
        address.copy_set_param("expires", str(int(address.params["expires"]) + 1)),
        address.copy_set_param("signature", address.params["signature"][:-2] + "AA"),
        address.copy_with(path=address.path.replace("1x1", "4x3")),
    ):
        bad = await api_system.http.get(changed.raw_path.decode())
        assert (bad.status_code, bad.json()["error"]["code"]) == (403, "LINK_EXPIRED")


async def test_foreign_avatars_are_not_listed(api_system: ApiSystem) -> None:
    """Another account's list is empty."""
    await api_system.avatar()
    _, listed = await api_system.request("GET", "/v1/avatars", key=await api_system.account())
    assert listed["my_avatars"] == []


async def test_a_revoked_key_is_deactivated(api_system: ApiSystem) -> None:
    """The key's last word is a sentence of its own."""
    key = await api_system.account()
    assert key != KEY
    async with writing(api_system.engine) as connection:
        await connection.execute(
            update(api_keys).where(api_keys.c.key_hash == key_hash(key)).values(revoked_at=db_now())
        )
    assert await api_system.request("GET", "/v1/avatars", key=key) == (401, {"error": "API key is deactivated"})
