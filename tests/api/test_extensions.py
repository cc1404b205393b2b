"""POST /v1/sessions/{id}/extend: a later end within the plan."""

from typing import Any

import pytest

from support.api_system import KEY, ROOM, ApiSystem


async def created(api: ApiSystem, **changes: Any) -> dict[str, Any]:
    """A new session."""
    await api.a_slot_is_free()
    body = {"avatar": await api.avatar(), "room": ROOM, **changes}
    status, answer = await api.request("POST", "/v1/sessions", json=body)
    assert status == 201, answer
    return dict(answer["session"])


async def extend(api: ApiSystem, session: dict[str, Any], body: Any, **how: Any) -> tuple[int, Any]:
    """The answer to an extension."""
    return await api.request("POST", f"/v1/sessions/{session['session_id']}/extend", json=body, **how)


async def test_a_session_is_extended_and_a_repeat_is_not(api_system: ApiSystem) -> None:
    """Minutes and seconds move the expiration; the same Idempotency-Key moves it once; after the end it is refused."""
    session = await created(api_system, expires_in=600)
    _, first = await extend(api_system, session, {"minutes": 2})
    assert first["message"] == "Session extended successfully"
    headers = {"Idempotency-Key": "once"}
    answers = [await extend(api_system, session, {"seconds": 30}, headers=headers) for _ in range(2)]
    assert [status for status, _ in answers] == [200, 200]
    times = [session["expiration"], first["session"]["expiration"], *(a["session"]["expiration"] for _, a in answers)]
    assert times == sorted(times)
    assert len(set(times)) == 3
    assert times[2] == times[3]
    await api_system.request("POST", f"/v1/sessions/{session['session_id']}/end")
    status, refused = await extend(api_system, session, {"seconds": 30})
    assert (status, refused["error"]["code"]) == (400, "SESSION_ENDED")
    assert refused["error"]["details"] == {"end_reason": "ended_by_request"}


async def test_a_session_without_a_limit_stays_without_one(api_system: ApiSystem) -> None:
    """The answer is the session as it is."""
    session = await created(api_system)
    status, answer = await extend(api_system, session, {"minutes": 5})
    assert (status, answer["session"]["expiration"]) == (200, None)
    await api_system.request("POST", f"/v1/sessions/{session['session_id']}/end")


async def test_what_cannot_be_extended_is_refused_by_name(api_system: ApiSystem) -> None:
    """More than a day, somebody else's session, and a body that says nothing, two things or nonsense."""
    session = await created(api_system, expires_in=60)
    status, beyond = await extend(api_system, session, {"seconds": 86_400})
    assert (status, beyond["error"]["code"]) == (403, "EXTENSION_LIMIT_REACHED")
    assert beyond["error"]["details"]["available_seconds"] == 86_340
    status, foreign = await extend(api_system, session, {"seconds": 1}, key=await api_system.account())
    assert (status, foreign["error"]["code"]) == (404, "SESSION_NOT_FOUND")
    for body in ({}, {"seconds": 1, "minutes": 1}, {"seconds": 0}, {"seconds": "long"}, {"minutes": -1}, []):
        status, wrong = await extend(api_system, session, body)
        assert (status, wrong["error"]["code"]) == (400, "INVALID_REQUEST"), body
    await api_system.request("POST", f"/v1/sessions/{session['session_id']}/end")


@pytest.mark.parametrize("wrong", [0, -5, "soon", 86_401])
async def test_a_wrong_length_is_refused_at_the_create(api_system: ApiSystem, wrong: object) -> None:
    """`expires_in` is a whole number of seconds, a day at most."""
    body = {"avatar": "avat_1", "room": ROOM, "expires_in": wrong}
    status, answer = await api_system.request("POST", "/v1/sessions", json=body, key=KEY)
    assert (status, answer["error"]["code"]) == (400, "INVALID_REQUEST")
