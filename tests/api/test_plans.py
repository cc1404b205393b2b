"""What a plan refuses before any work, and what the answer to a create says of minutes."""

from typing import Any

from sqlalchemy import func, select, update

from api.auth import key_hash
from database.engine import reading, writing
from database.tables import accounts, api_keys, sessions
from support.api_system import ROOM, ApiSystem, new_picture


async def plan_of(api: ApiSystem, key: str, plan: str) -> None:
    """Let a key's account have another plan."""
    mine = select(api_keys.c.account_id).where(api_keys.c.key_hash == key_hash(key)).scalar_subquery()
    async with writing(api.engine) as connection:
        await connection.execute(update(accounts).where(accounts.c.account_id == mine).values(plan_key=plan))


async def sessions_of(api: ApiSystem, key: str) -> int:
    """How many rows of sessions a key's account has."""
    mine = select(api_keys.c.account_id).where(api_keys.c.key_hash == key_hash(key)).scalar_subquery()
    async with reading(api.engine) as connection:
        query = select(func.count()).select_from(sessions).where(sessions.c.account_id == mine)
        return int((await connection.execute(query)).scalar_one())


def by_create(picture: str) -> dict[str, Any]:
    """A create with a picture."""
    return {"path": "/v1/sessions", "json": {"avatar": picture, "room": ROOM}}


def by_upload(picture: str, **more: bool) -> dict[str, Any]:
    """An upload."""
    return {"path": "/v1/avatars/upload-face", "json": {"image_base64": picture, **more}}


async def test_a_plan_that_is_not_paid_takes_no_pictures(api_system: ApiSystem) -> None:
    """However it is sent, and known or not: 403 with what helps, before anything is staged or started."""
    key, picture = await api_system.account("free"), new_picture()
    await plan_of(api_system, key, "pro")
    status, _ = await api_system.request("POST", key=key, **by_upload(picture))
    assert status == 201
    await plan_of(api_system, key, "free")
    before = await api_system.traces()
    for asked in (
        by_create(picture),
        by_create(new_picture()),
        by_create("https://pictures.example/FACE"),
        by_upload(picture),
        by_upload(new_picture()),
        by_upload(new_picture(), dry_run=True),
    ):
        status, body = await api_system.request("POST", key=key, **asked)
        assert (status, body["success"], body["error"]["code"]) == (403, False, "PLAN_REQUIRED")
        assert body["error"]["suggestion"]
        assert body["error"]["details"] == {"plan": "free"}
    assert await api_system.traces() == before
    assert await sessions_of(api_system, key) == 0


async def test_the_answer_to_a_create_counts_minutes_and_places(api_system: ApiSystem) -> None:
    """A free plan's one place and its minutes; the second create is refused by place, without a row."""
    await api_system.a_slot_is_free()
    key = await api_system.account("explorer")
    status, uploaded = await api_system.request("POST", key=key, **by_upload(new_picture()))
    assert status == 201
    await plan_of(api_system, key, "free")
    body = {"avatar": uploaded["avatar_id"], "room": ROOM}
    status, answer = await api_system.request("POST", "/v1/sessions", key=key, json=body)
    assert status == 201, answer
    assert answer["usage"] == {
        "concurrency": {"current": 1, "max": 1, "available": 0},
        "minutes": {"total_remaining": 120},
    }
    session_id = answer["session"]["session_id"]
    status, second = await api_system.request("POST", "/v1/sessions", key=key, json=body)
    assert (status, second["error"]["code"]) == (429, "CONCURRENCY_LIMIT_REACHED")
    assert second["error"]["details"] == {"current": 1, "max": 1, "available": 0, "sessions": [session_id]}
    status, _ = await api_system.request("POST", f"/v1/sessions/{session_id}/end", key=key)
    assert status == 200
    assert await sessions_of(api_system, key) == 1
