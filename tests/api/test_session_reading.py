"""The list of sessions and their timelines over HTTP."""

import re

import pytest
from temporalio.client import Client

from support.api_system import KEY, ROOM, ApiSystem, new_picture


async def ran(api: ApiSystem, key: str, *, end: bool = True) -> str:
    """A session of the key's account, that has ended unless it is to go on; its id."""
    await api.a_slot_is_free()
    _, made = await api.request("POST", "/v1/avatars/upload-face", key=key, json={"image_base64": new_picture()})
    request = {"avatar": made["avatar_id"], "room": ROOM, "metadata": {"n": 1}}
    status, body = await api.request("POST", "/v1/sessions", key=key, json=request)
    assert status == 201, body
    session_id = str(body["session"]["session_id"])
    if end:
        assert (await api.request("POST", f"/v1/sessions/{session_id}/end", key=key))[0] == 200
    return session_id


async def listed(api: ApiSystem, key: str, **query: object) -> tuple[list[str], str | None]:
    """The ids of a page, and the next cursor."""
    status, body = await api.request("GET", "/v1/sessions", key=key, params=query)
    assert (status, body["success"]) == (200, True), body
    return [session["session_id"] for session in body["sessions"]], body["next_cursor"]


async def test_the_list_is_the_accounts_newest_first(api_system: ApiSystem) -> None:
    """With a filter, page by page, and without a token; a status that there is not is as `all`."""
    key = await api_system.account()
    first, second = await ran(api_system, key), await ran(api_system, key)
    third = await ran(api_system, key, end=False)
    everything = [third, second, first]
    assert await listed(api_system, key) == (everything, None)
    assert await listed(api_system, key, status="all") == (everything, None)
    assert await listed(api_system, key, status="running") == (everything, None)
    assert await listed(api_system, key, status="started") == ([third], None)
    assert await listed(api_system, key, status="ended") == ([second, first], None)
    page, cursor = await listed(api_system, key, limit=2)
    assert (page, cursor is not None) == (everything[:2], True)
    assert await listed(api_system, key, limit=2, cursor=cursor) == (everything[2:], None)
    _, body = await api_system.request("GET", "/v1/sessions", key=key)
    running, *others = body["sessions"]
    assert "session_token" not in str(body)
    assert (running["status"], running["end_reason"]) == ("started", None)
    assert type(running["duration"]) is int
    assert {session["end_reason"] for session in others} == {"ended_by_request"}
    assert {str(session["metadata"]) for session in body["sessions"]} == {"{'n': 1}"}
    await api_system.request("POST", f"/v1/sessions/{third}/end", key=key)
    assert await listed(api_system, await api_system.account()) == ([], None)


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 501}, {"limit": "many"}, {"cursor": "x"}])
async def test_a_wrong_page_is_refused(api_system: ApiSystem, query: dict[str, object]) -> None:
    """Only `status` is forgiving: a page that was not asked for would be taken for the right one."""
    status, body = await api_system.request("GET", "/v1/sessions", params=query)
    assert (status, body["error"]["code"]) == (400, "INVALID_REQUEST")


async def test_the_timeline_names_the_run_that_made_each_change(api_system: ApiSystem, temporal_apart: Client) -> None:
    """The run is the one that Temporal knows under the session's id; another account sees no session."""
    session_id = await ran(api_system, KEY)
    status, body = await api_system.request("GET", f"/v1/sessions/{session_id}/timeline")
    assert status == 200, body
    assert (body["session_id"], body["workflow_id"]) == (session_id, session_id)
    run_id = (await temporal_apart.get_workflow_handle(session_id).describe()).run_id
    entries = body["timeline"]
    assert [(entry["step"], entry["status"], entry["cause"]) for entry in entries] == [
        ("admit_session", "created", None),
        ("lease_server", "created", None),
        ("record_started", "started", None),
        ("record_ended", "ended", "ended_by_request"),
    ]
    steps = [entry for entry in entries if entry["step"] != "lease_server"]
    assert {(entry["workflow_id"], entry["run_id"]) for entry in steps} == {(session_id, run_id)}
    assert all(type(entry["duration_ms"]) is int for entry in steps)
    assert entries[0]["since_previous_ms"] == 0
    assert all(entry["since_previous_ms"] >= 0 for entry in entries)
    assert entries[1]["server"]
    assert all(re.fullmatch(r"[0-9T:.-]+Z", entry["at"]) for entry in entries)
    foreign = await api_system.request("GET", f"/v1/sessions/{session_id}/timeline", key=await api_system.account())
    assert foreign == await api_system.request("GET", "/v1/sessions/sess_nobody/timeline")
    assert (foreign[0], foreign[1]["error"]["message"]) == (404, "Session not found")
