"""What a plan refuses before any work, and what the answer to a create says of minutes."""

from typing import Any

from sqlalchemy import func, insert, select, update

from api.auth import key_hash
from database.engine import reading, writing
from database.freezes import Freezes
from database.tables import accounts, api_keys, plans, sessions
from domain.plans import UNLIMITED
from support.api_system import KEY, ROOM, ApiSystem, new_picture


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


async def test_usage_of_a_plan_without_limits(api_system: ApiSystem) -> None:
    """Every number is one, whatever has no limit; the contract's fields are all there."""
    status, body = await api_system.request("GET", "/v1/usage", key=await api_system.account())
    assert (status, body["success"]) == (200, True)
    usage = body["usage"]
    period = usage.pop("period")
    assert period["start"] < period["end"]
    assert usage == {
        "included_minutes": {"total": UNLIMITED, "used": 0, "remaining": UNLIMITED},
        "purchased_minutes": {"total": 0, "remaining": 0},
        "total_remaining": UNLIMITED,
        "active_sessions": [],
        "active_minutes": 0,
        "concurrency": {"current": 0, "max": UNLIMITED, "available": UNLIMITED},
        "avatars": {"limit": None, "used": 0, "remaining": None},
        "plan": {"key": "self_hosted", "name": "Self-hosted", "max_session_duration": None, "will_renew": True},
    }


async def test_usage_needs_a_key(api_system: ApiSystem) -> None:
    """Like everything else."""
    assert await api_system.request("GET", "/v1/usage", key=None) == (401, {"error": "API key required"})


async def test_usage_counts_sessions_pictures_and_the_bill(api_system: ApiSystem) -> None:
    """A running session is listed as active; once it has ended it shows its bill, in its own answers and in usage."""
    await api_system.a_slot_is_free()
    key = await api_system.account("explorer")
    status, answer = await api_system.request("POST", key=key, **by_create(new_picture()))
    assert status == 201, answer
    session = answer["session"]
    assert (answer["usage"]["minutes"], session["billing"]) == ({"total_remaining": 600}, None)
    _, body = await api_system.request("GET", "/v1/usage", key=key)
    usage = body["usage"]
    (active,) = usage["active_sessions"]
    assert (active["session_id"], active["status"], active["ended_at"]) == (session["session_id"], "active", None)
    assert usage["concurrency"] == {"current": 1, "max": 5, "available": 4}
    assert usage["avatars"] == {"limit": 20, "used": 1, "remaining": 19}
    assert usage["plan"] == {"key": "explorer", "name": "Explorer", "max_session_duration": 240, "will_renew": True}
    assert usage["included_minutes"] == {"total": 600, "used": 0, "remaining": 600}
    path = f"/v1/sessions/{session['session_id']}"
    _, ended = await api_system.request("POST", f"{path}/end", key=key)
    free = {"minutes_used": 0, "included_minutes": 0, "purchased_minutes": 0, "status": "billed"}
    _, found = await api_system.request("GET", path, key=key)
    _, listed = await api_system.request("GET", "/v1/sessions", key=key)
    answers = [ended["session"], found["session"], listed["sessions"][0]]
    assert [one["billing"] for one in answers] == [free] * 3
    _, body = await api_system.request("GET", "/v1/usage", key=key)
    assert (body["usage"]["active_sessions"], body["usage"]["concurrency"]["current"]) == ([], 0)


async def test_a_create_without_minutes_is_refused(api_system: ApiSystem) -> None:
    """403 with the minutes, and nothing of it stays."""
    key = await api_system.account("explorer")
    _, uploaded = await api_system.request("POST", key=key, **by_upload(new_picture()))
    mine = select(api_keys.c.account_id).where(api_keys.c.key_hash == key_hash(key)).scalar_subquery()
    async with writing(api_system.engine) as connection:
        plan = {"key": "nothing", "name": "Nothing", "max_concurrent_sessions": 9, "included_minutes": 0}
        await connection.execute(insert(plans).values(plan))
        await connection.execute(update(accounts).where(accounts.c.account_id == mine).values(plan_key="nothing"))
    body = {"avatar": uploaded["avatar_id"], "room": ROOM}
    status, answer = await api_system.request("POST", "/v1/sessions", key=key, json=body)
    assert (status, answer["error"]["code"]) == (403, "INSUFFICIENT_MINUTES")
    assert answer["error"]["details"]["total_remaining"] == 0
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


async def test_frozen_admissions(api_system: ApiSystem) -> None:
    """A create is 503 with the operator's words and `Retry-After`, and leaves nothing; a session that runs goes on."""
    await api_system.a_slot_is_free()
    body = {"avatar": await api_system.avatar(), "room": ROOM}
    _, answer = await api_system.request("POST", "/v1/sessions", json=body)
    path = f"/v1/sessions/{answer['session']['session_id']}"
    freezes, before = Freezes(api_system.engine), await api_system.traces()
    await freezes.freeze(api_system.account_id, "back at ten", seconds=120)
    try:
        refused = await api_system.http.post("/v1/sessions", json={**body, "n": 1}, headers={"x-api-key": KEY})
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "ADMISSIONS_FROZEN")
        assert "back at ten" in refused.json()["error"]["message"]
        assert 100 < int(refused.headers["Retry-After"]) <= 120
        _, running = await api_system.request("GET", path)
        assert running["session"]["status"] == "started"
        assert await api_system.traces() == before
    finally:
        await freezes.thaw(api_system.account_id)
        await api_system.request("POST", f"{path}/end")
