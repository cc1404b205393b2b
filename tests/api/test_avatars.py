"""Avatars over HTTP: uploads in every form, the list, and the signed addresses."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest
from httpx import URL
from sqlalchemy import update

from adapters.object_store import ObjectStore
from api.auth import key_hash
from api.deletion import sweep_deleted
from database.avatars import Avatars
from database.engine import writing
from database.instants import db_now
from database.tables import api_keys
from support.api_system import KEY, PICTURE, ROOM, ApiSystem, new_picture
from support.eventually import eventually
from support.fake_faces import FACE, NO_FACE

PICTURE_BYTES = base64.b64decode(PICTURE)


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
        ({"json": {"image_base64": None, "image_url": ""}}, "INVALID_IMAGE_INPUT"),
        ({"json": {"image_base64": PICTURE, "dry_run": "yes"}}, "INVALID_IMAGE_INPUT"),
        ({"json": {"image_url": "https://e.example/a.png"}}, "IMAGE_DAMAGED"),
        ({"json": {"image_url": "https://e.example/NO FACE"}}, "NO_FACE"),
        ({"json": {"image_url": "https://e.example/NO FACE", "dry_run": True}}, "NO_FACE"),
        ({"json": {"image_url": "http://10.0.0.1/FACE"}}, "IMAGE_URL_NOT_ALLOWED"),
        ({"files": {"image_url": (None, "http://localhost/FACE")}}, "IMAGE_URL_NOT_ALLOWED"),
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


def pictures(api: ApiSystem, avatar_id: str) -> list[Path]:
    """An avatar's objects, and those staged for it."""
    objects = api.settings.data_path / "objects"
    found = [path for part in ("avatars", "staging") for path in (objects / part / avatar_id).rglob("*")]
    return [path for path in found if path.is_file()]


async def test_an_avatar_is_deleted_with_its_pictures(api_system: ApiSystem) -> None:
    """Right after its upload, too: it is not listed, no session takes it, and nothing of it is left or comes later."""
    _, body = await upload(api_system, json={"image_base64": PICTURE})
    avatar_id, address = body["avatar_id"], URL(body["image_url"]).raw_path.decode()
    assert await api_system.request("DELETE", f"/v1/avatars/{avatar_id}") == (200, {"success": True})
    _, listed = await api_system.request("GET", "/v1/avatars")
    assert avatar_id not in {avatar["avatar_id"] for avatar in listed["my_avatars"]}
    used = await api_system.request("POST", "/v1/sessions", json={"avatar": avatar_id, "room": ROOM})
    assert (used[0], used[1]["error"]["code"]) == (404, "AVATAR_NOT_FOUND")
    again, refusal = await api_system.request("DELETE", f"/v1/avatars/{avatar_id}")
    assert (again, refusal["error"]["message"]) == (404, "Avatar not found")
    await eventually(lambda: not pictures(api_system, avatar_id))
    gone, words = await api_system.request("GET", address, key=None)
    assert (gone, words["error"]["message"]) == (404, "this picture was deleted")


@pytest.mark.parametrize(
    "avatar_id", ["avat_nobody", "x", "PUBLIC/Avatars/nobody", "PUBLIC%2FAvatars%2Fnobody", "avat_%00", "avat_" * 99]
)
async def test_an_avatar_that_is_not_there_is_not_found(api_system: ApiSystem, avatar_id: str) -> None:
    """Unknown ids of either form, and what is no id, are 404 with the same code."""
    status, body = await api_system.request("DELETE", f"/v1/avatars/{avatar_id}")
    assert (status, body["error"]["code"]) == (404, "AVATAR_NOT_FOUND")


async def test_only_the_owner_deletes_an_avatar(api_system: ApiSystem) -> None:
    """Another account is told that there is none, one without a key nothing, and the avatar stays."""
    avatar_id = await api_system.avatar()
    status, body = await api_system.request("DELETE", f"/v1/avatars/{avatar_id}", key=await api_system.account())
    assert (status, body["error"]["code"]) == (404, "AVATAR_NOT_FOUND")
    assert (await api_system.request("DELETE", f"/v1/avatars/{avatar_id}", key=None))[0] == 401
    _, listed = await api_system.request("GET", "/v1/avatars")
    assert avatar_id in {avatar["avatar_id"] for avatar in listed["my_avatars"]}


async def test_a_session_keeps_the_picture_that_it_shows(api_system: ApiSystem) -> None:
    """Its avatar can be deleted while it runs; the pictures go with the first sweep after its end."""
    _, body = await upload(api_system, json={"image_base64": PICTURE})
    avatar_id, address = body["avatar_id"], URL(body["image_url"]).raw_path.decode()
    _, created = await api_system.request("POST", "/v1/sessions", json={"avatar": avatar_id, "room": ROOM})
    session = f"/v1/sessions/{created['session']['session_id']}"
    assert (await api_system.request("DELETE", f"/v1/avatars/{avatar_id}"))[0] == 200
    swept = Avatars(api_system.engine), ObjectStore(api_system.settings.storage_address)
    await sweep_deleted(*swept)
    _, running = await api_system.request("GET", session)
    assert (running["session"]["status"], running["session"]["avatar"]["avatar_id"]) == ("started", avatar_id)
    assert (await api_system.http.get(address)).content == PICTURE_BYTES
    used, _ = await api_system.request("POST", "/v1/sessions", json={"avatar": avatar_id, "room": ROOM})
    assert used == 404
    assert (await api_system.request("POST", f"{session}/end"))[0] == 200
    await sweep_deleted(*swept)
    assert (await api_system.http.get(address)).status_code == 404
    await eventually(lambda: not pictures(api_system, avatar_id))


async def test_the_same_picture_is_the_same_avatar(api_system: ApiSystem) -> None:
    """A repeat is answered with the avatar that is there; twins at once become one; a deleted one is made anew."""
    picture = {"json": {"image_base64": new_picture()}}
    twins = await asyncio.gather(*(upload(api_system, **picture) for _ in range(3)))
    (avatar_id,) = {body["avatar_id"] for _, body in twins}
    before = await api_system.traces()
    status, repeated = await upload(api_system, **picture)
    assert (status, repeated) == (201, {**twins[0][1], "image_url": repeated["image_url"]})
    assert await api_system.traces() == before
    assert (await upload(api_system, key=await api_system.account(), **picture))[1]["avatar_id"] != avatar_id
    await api_system.request("DELETE", f"/v1/avatars/{avatar_id}")
    status, again = await upload(api_system, **picture)
    assert status == 201
    assert again["avatar_id"] != avatar_id


@pytest.mark.parametrize("how", ["json", "form", "address"])
async def test_a_dry_run_makes_no_avatar(api_system: ApiSystem, how: str) -> None:
    """The verdict and what was measured, and nothing is left: no row, no object."""
    before = await api_system.traces()
    hows: dict[str, dict[str, Any]] = {
        "json": {"json": {"image_base64": new_picture(), "dry_run": True}},
        "form": {"files": {"file": ("face.png", FACE), "dry_run": (None, "true")}},
        "address": {"json": {"image_url": "https://pictures.example/FACE", "dry_run": True}},
    }
    assert await upload(api_system, **hows[how]) == (200, {"success": True, "verdict": "OK", "details": {"faces": 1}})
    assert await api_system.traces() == before
