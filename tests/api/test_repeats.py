"""One create, one session (rules 1, 5 and 27): repeats find the first session, and newer ones take its place."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy import delete, insert, select
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError
from ulid import ULID

from api.app import create_app
from database.creates import Creates
from database.engine import reading, writing
from database.tables import creates, plans, sessions
from support.api_system import KEY, ROOM, ApiSystem, environment, new_picture, room_for, serving

Answer = tuple[int, Any]


@pytest.fixture(scope="module")
async def other_api(api_system: ApiSystem, temporal_apart: Client) -> AsyncIterator[AsyncClient]:
    """A second API on the same database and Temporal."""
    async with serving(create_app(api_system.settings, environment(temporal_apart))) as http:
        yield http


@pytest.fixture
async def body(api_system: ApiSystem) -> dict[str, Any]:
    """A create that no other test sends."""
    await api_system.a_slot_is_free()
    return {"avatar": await api_system.avatar(), "room": ROOM, "request": str(ULID())}


async def post(http: AsyncClient, body: dict[str, Any], key: str | None = None, api_key: str = KEY) -> Answer:
    """A create, as it was answered."""
    headers = {"x-api-key": api_key} | ({"Idempotency-Key": key} if key else {})
    response = await http.post("/v1/sessions", json=body, headers=headers)
    return response.status_code, response.json()


async def end(api: ApiSystem, answer: Answer, api_key: str = KEY) -> None:
    """End the session that was answered, and wait until its slot is free again."""
    assert answer[0] == 201, answer[1]
    session_id = answer[1]["session"]["session_id"]
    status, _ = await api.request("POST", f"/v1/sessions/{session_id}/end", key=api_key)
    assert status == 200
    async with asyncio.timeout(10):
        while (session_id, 1) in api.server.serving:  # noqa: ASYNC110 - a dictionary tells nobody
            await asyncio.sleep(0.02)
    await api.server.renew()


async def forget(client: Client, session_id: str) -> None:
    """Delete the session's execution from Temporal once it has closed, as its retention would."""
    handle = client.get_workflow_handle(session_id)
    await handle.result()
    execution = WorkflowExecution(workflow_id=session_id)
    request = DeleteWorkflowExecutionRequest(namespace=client.namespace, workflow_execution=execution)
    async with asyncio.timeout(120):
        while True:  # asked again: right after the close a deletion may be lost
            try:
                await client.workflow_service.delete_workflow_execution(request)
                await handle.describe()
            except RPCError:
                return
            await asyncio.sleep(0.5)


def named(answer: Answer) -> str:
    """The id of the session in an answer."""
    assert answer[0] == 201, answer[1]
    return str(answer[1]["session"]["session_id"])


@pytest.mark.parametrize("key", [None, "twice"])
async def test_twice_at_once_through_two_apis_is_one_session(
    api_system: ApiSystem, other_api: AsyncClient, body: dict[str, Any], key: str | None
) -> None:
    """Both get the same session, token and all, while it is being created and afterwards; it counts once."""
    answers = await asyncio.gather(*(post(http, body, key) for http in (api_system.http, other_api) * 2))
    answers.append(await post(other_api, body, key))
    first = answers[0][1]
    for status, again in answers:
        assert status == 201, again
        assert again["session"] | {"duration": 0} == first["session"]
        assert again["usage"] == first["usage"]
    async with reading(api_system.engine) as connection:
        mine = (sessions.c.account_id == api_system.account_id) & sessions.c.ended_at.is_(None)
        assert len((await connection.execute(select(sessions).where(mine))).all()) == 1
    await end(api_system, answers[0])


async def test_a_key_answers_for_a_session_that_temporal_has_forgotten(
    api_system: ApiSystem, other_api: AsyncClient, temporal_apart: Client, body: dict[str, Any]
) -> None:
    """After its end and the deletion of its execution, also through another API; another body is refused meanwhile."""
    first = await post(api_system.http, body, "forgotten")
    await end(api_system, first)
    await forget(temporal_apart, named(first))
    for http in (api_system.http, other_api):
        status, again = await post(http, body, "forgotten")
        assert status == 201
        assert again["session"]["session_id"] == named(first)
        assert again["session"]["session_token"] == first[1]["session"]["session_token"]
        assert (again["session"]["status"], again["session"]["end_reason"]) == ("ended", "ended_by_request")
    status, refused = await post(other_api, body | {"metadata": {"other": True}}, "forgotten")
    assert (status, refused["error"]["code"]) == (409, "IDEMPOTENCY_KEY_REUSED")
    assert refused["error"]["suggestion"]


async def test_without_a_key_a_repeat_after_the_end_is_a_new_session(
    api_system: ApiSystem, other_api: AsyncClient, temporal_apart: Client, body: dict[str, Any]
) -> None:
    """Whether or not Temporal still knows the first one."""
    first = await post(api_system.http, body)
    await end(api_system, first)
    await forget(temporal_apart, named(first))
    second = await post(other_api, body)
    assert named(second) != named(first)
    await end(api_system, second)


async def test_a_running_session_is_found_although_temporal_is_not_asked(
    api_system: ApiSystem, other_api: AsyncClient, body: dict[str, Any]
) -> None:
    """Its answer comes from the database, with its duration so far."""
    first = await post(api_system.http, body, "running")
    status, again = await post(other_api, body, "running")
    assert status == 201
    assert again["session"]["session_id"] == named(first)
    assert (again["session"]["status"], again["session"]["avatar"]) == ("started", first[1]["session"]["avatar"])
    await end(api_system, first)


@pytest.mark.parametrize("key", [None, "never started"])
async def test_a_row_whose_session_nobody_started_is_taken_up(
    api_system: ApiSystem, body: dict[str, Any], key: str | None
) -> None:
    """The API died between the row and the workflow: the repeat starts that session."""
    first = await post(api_system.http, body, key)
    await end(api_system, first)
    session_id = f"sess_{ULID()}"
    async with writing(api_system.engine) as connection:
        row = (await connection.execute(select(creates).where(creates.c.session_id == named(first)))).one()
        await connection.execute(delete(creates).where(creates.c.session_id == named(first)))
        await connection.execute(insert(creates).values(row._asdict() | {"session_id": session_id, "details": None}))
    again = await post(api_system.http, body, key)
    assert named(again) == session_id
    await end(api_system, again)


@pytest.mark.parametrize("key", [None, "again"])
async def test_after_at_capacity_the_same_request_is_tried_anew(
    api_system: ApiSystem, other_api: AsyncClient, body: dict[str, Any], key: str | None
) -> None:
    """Both that come at once are told the same; once a slot is free the same request succeeds."""
    running = [await post(api_system.http, body | {"request": str(number)}) for number in range(3)]
    asked = body | {"wait_up_to": 0}
    before = await api_system.traces()
    told = await asyncio.gather(*(post(http, asked, key) for http in (api_system.http, other_api)))
    assert [(status, answer["error"]["code"]) for status, answer in told] == [(503, "AT_CAPACITY")] * 2
    after = await api_system.traces()
    assert (after["leases"], after["waiting"], after["seats"]) == (before["leases"], before["waiting"], before["seats"])
    assert after["creates"] == before["creates"] + (1 if key else 0)
    await end(api_system, running.pop())
    again = await post(other_api, asked, key)
    assert named(again) == named(await post(api_system.http, asked, key))
    for answer in (*running, again):
        await end(api_system, answer)


async def test_a_final_refusal_repeats_for_its_key(api_system: ApiSystem, body: dict[str, Any]) -> None:
    """With details, and without work: the picture is not looked at again. Without a key it is."""
    no_face = body | {"avatar": "Tk8gRkFDRSE" * 40}
    first = await post(api_system.http, no_face, "no face")
    assert (first[0], first[1]["error"]["code"]) == (400, "NO_FACE")
    before = await api_system.traces()
    assert await post(api_system.http, no_face, "no face") == first
    assert await api_system.traces() == before
    other = await post(api_system.http, body, "no face")
    assert (other[0], other[1]["error"]["code"]) == (409, "IDEMPOTENCY_KEY_REUSED")
    assert (await post(api_system.http, no_face))[1]["error"] == first[1]["error"]


async def test_keys_are_an_accounts_own(api_system: ApiSystem, body: dict[str, Any]) -> None:
    """The same key of another account is another create."""
    first = await post(api_system.http, body, "shared")
    status, answer = await post(api_system.http, body, "shared", await api_system.account())
    assert (status, answer["error"]["code"]) == (403, "AVATAR_ACCESS_DENIED")
    assert named(await post(api_system.http, body, "shared")) == named(first)
    await end(api_system, first)


async def test_a_key_that_is_too_long_is_refused(api_system: ApiSystem, body: dict[str, Any]) -> None:
    """Before anything is done."""
    status, answer = await post(api_system.http, body, "k" * 256)
    assert (status, answer["error"]["code"]) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize("wait", [-1, 120.5, "long", True, None])
async def test_a_wait_out_of_range_is_refused(api_system: ApiSystem, body: dict[str, Any], wait: object) -> None:
    """It is a number of seconds."""
    status, answer = await post(api_system.http, body | {"wait_up_to": wait})
    assert (status, answer["error"]["code"]) == (400, "INVALID_WAIT")


Begin = Callable[..., Coroutine[Any, Any, Answer]]


@pytest.fixture
async def begin(api_system: ApiSystem) -> AsyncIterator[Begin]:
    """Sends creates of an account that may run one session at a time, for the same participant of one room."""
    async with writing(api_system.engine) as connection:
        plan = {"key": f"one {ULID()}", "name": "one", "max_concurrent_sessions": 1}
        await connection.execute(insert(plans).values(plan))
    api_key, room = await api_system.account(plan["key"]), str(ULID())
    _, uploaded = await api_system.request(
        "POST", "/v1/avatars/upload-face", key=api_key, json={"image_base64": new_picture()}
    )
    made: list[Answer] = []

    async def send(issued: int, **changes: Any) -> Answer:
        body = {"avatar": uploaded["avatar_id"], "room": room_for("avatar", room, issued=issued), **changes}
        made.append(await post(api_system.http, body, api_key=api_key))
        return made[-1]

    await api_system.a_slot_is_free()
    yield send
    for answer in made:
        if answer[0] == 201:
            await end(api_system, answer, api_key)


async def state_of(api: ApiSystem, answer: Answer) -> tuple[str, str | None]:
    """Status and end reason of the session that was answered."""
    async with reading(api.engine) as connection:
        query = select(sessions.c.status, sessions.c.end_reason).where(sessions.c.session_id == named(answer))
        row = (await connection.execute(query)).one()
    return row.status, row.end_reason


async def test_another_body_for_the_same_participant_takes_over(
    api_system: ApiSystem, temporal_apart: Client, begin: Begin
) -> None:
    """The older session ends as replaced, and its workflow closes; the plan's one place moves to the newer one.

    Nothing disturbs the newer one until the older one's request is sent again: then it takes over in turn.
    """
    first = await begin(1)
    second = await begin(2)
    assert named(second) != named(first)
    assert second[1]["usage"]["concurrency"] == {"current": 1, "max": 1, "available": 0}
    assert await state_of(api_system, first) == ("ended", "replaced")
    outcome = await temporal_apart.get_workflow_handle(named(first)).result()
    assert outcome["reason"] == "replaced"
    assert await state_of(api_system, second) == ("started", None)
    assert set(api_system.server.serving) == {(named(second), 1)}
    assert named(await begin(2)) == named(second)
    third = await begin(1)
    assert named(third) not in (named(first), named(second))
    assert await state_of(api_system, second) == ("ended", "replaced")


async def test_a_refused_create_replaces_nothing(api_system: ApiSystem, begin: Begin) -> None:
    """The picture must have passed before the older session gives way; another participant finds no place."""
    first = await begin(1)
    refused = await begin(2, avatar="Tk8gRkFDRSE" * 40)
    assert (refused[0], refused[1]["error"]["code"]) == (400, "NO_FACE")
    other = await begin(3, room=room_for("another", "room"))
    assert (other[0], other[1]["error"]["code"]) == (429, "CONCURRENCY_LIMIT_REACHED")
    assert await state_of(api_system, first) == ("started", None)
    assert named(await begin(1)) == named(first)


async def test_where_every_slot_is_taken_the_older_ones_own_is_used(api_system: ApiSystem, begin: Begin) -> None:
    """The newer session need not wait for a slot that it brings along."""
    first = await begin(1, wait_up_to=0)
    others = [await api_system.request("POST", "/v1/sessions", json={"avatar": a, "room": ROOM, "wait_up_to": 0})
              for a in [await api_system.avatar()] * 2]  # fmt: skip
    second = await begin(2, wait_up_to=0)
    assert await state_of(api_system, first) == ("ended", "replaced")
    assert await state_of(api_system, second) == ("started", None)
    for answer in others:
        await end(api_system, answer)


async def test_old_rows_are_swept(api_system: ApiSystem) -> None:
    """The API's sweeper asks for it; nothing of what a repeat would find goes."""
    assert await Creates(api_system.engine).sweep() == 0
