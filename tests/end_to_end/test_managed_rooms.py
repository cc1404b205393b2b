"""Rooms of the server's own making, on the real system, for a client that behaves as Pipecat's service does."""

import asyncio
import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from livekit import api
from temporalio.client import WorkflowHandle

from support.livekit_server import LiveKitServer
from support.pipecat_peer import RATE, PipecatPeer
from support.real_system import Answer, RealSystem
from support.room_listener import RoomListener
from support.speech_bench import tone
from support.tokens import AVATAR_IDENTITY

PROXY = {"platform": "proxy"}


async def created(system: RealSystem, avatar: str, room: Answer | None = PROXY) -> Answer:
    """A session in a room that is made for it."""
    body: Answer = {"avatar": avatar} | ({"room": room} if room else {})
    answer = await system.call("POST", "/v1/sessions", json=body)
    assert answer.status_code == 201, answer.text
    session = dict(answer.json()["session"])
    system.secrets[f"participant token of {session['session_id']}"] = session["room"]["participantToken"]
    return session


def room_name(session: Answer) -> str:
    """The room, as the client's token names it."""
    middle = session["room"]["participantToken"].split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    return str(claims["video"]["room"])


def hidden_token(server: LiveKitServer, room: str) -> str:
    """A token of the operator's, for somebody whom nobody sees."""
    grants = api.VideoGrants(room_join=True, room=room, hidden=True, can_publish=False)
    return api.AccessToken(server.api_key, server.api_secret).with_identity("monitor").with_grants(grants).to_jwt()


async def room_gone(server: LiveKitServer, name: str, *, within_s: float = 10.0) -> float:
    """Wait until the server has no such room; how long that took."""
    began = time.monotonic()
    async with server.admin() as admin:
        while (await admin.room.list_rooms(api.ListRoomsRequest(names=[name]))).rooms:
            assert time.monotonic() - began < within_s, f"room {name} is still there after {within_s} s"
            await asyncio.sleep(0.05)
    return time.monotonic() - began


async def signals(workflow: WorkflowHandle[Any, Any]) -> int:
    """How often the avatar's server has told who is in the room."""
    events = (await workflow.fetch_history()).events
    return sum(event.HasField("workflow_execution_signaled_event_attributes") for event in events)


async def test_a_client_like_pipecats_talks_interrupts_and_ends(
    real_system: RealSystem, astronaut: str, measured: Callable[[str], None]
) -> None:
    """It sees the avatar first and nobody else, is heard on one stream that never closes, and ends twice.

    Contract 9: the identity, the answer's fields, audio after each pause and each interruption; a monitor is not seen.
    """
    session = await created(real_system, astronaut)
    room, name = session["room"], room_name(session)
    assert room["roomURL"] == real_system.livekit.url
    async with (
        RoomListener(real_system.livekit.url, hidden_token(real_system.livekit, name)) as listener,
        PipecatPeer(room["roomURL"], room["participantToken"]) as client,
    ):
        await client.say(tone(0.6, RATE))
        heard = await listener.wait_sound()
        await listener.wait_silence(for_s=0.4)
        assert 0.4 < listener.loud_s(heard) < 0.8
        again = time.monotonic()
        await client.say(tone(5, RATE))
        await listener.wait_sound(since=again)
        assert await client.interrupt() == "ok"
        await listener.wait_silence(for_s=0.4)
        assert listener.loud_s(again) < 3
        third = time.monotonic()
        await client.say(tone(0.6, RATE))
        await listener.wait_sound(since=third)
        assert (client.first, client.others) == (AVATAR_IDENTITY, {AVATAR_IDENTITY})
        assert client.finished <= 1
    ended = await real_system.end(session["session_id"])
    assert (ended["end_reason"], (await real_system.end(session["session_id"]))["status"]) == (
        "ended_by_request",
        "ended",
    )
    measured(f"room deleted {await room_gone(real_system.livekit, name):.2f} s after the end")
    await real_system.wait_released()


async def test_a_room_that_was_left_out_is_made(real_system: RealSystem, astronaut: str) -> None:
    """Two of the same body get a room each; the end sends away who is still in it, and deletes it."""
    first, second = [await created(real_system, astronaut, None) for _ in range(2)]
    assert room_name(first) != room_name(second)
    async with PipecatPeer(first["room"]["roomURL"], first["room"]["participantToken"]) as client:
        gone = asyncio.Event()
        client.room.on("disconnected", lambda _: gone.set())
        await asyncio.gather(*(real_system.end(one["session_id"]) for one in (first, second)))
        async with asyncio.timeout(10):
            await gone.wait()
    for one in (first, second):
        await room_gone(real_system.livekit, room_name(one))
        read = await real_system.get(one["session_id"])
        assert "room" not in read
    await real_system.wait_released()


@pytest.mark.parametrize("body", [{"room": PROXY}])
async def test_a_refused_create_leaves_no_room(real_system: RealSystem, body: Answer) -> None:
    """An avatar that nobody has: nothing was made."""
    async with real_system.livekit.admin() as admin:
        before = {one.name for one in (await admin.room.list_rooms(api.ListRoomsRequest())).rooms}
        answer = await real_system.call("POST", "/v1/sessions", json={"avatar": "avat_nobody", **body})
        assert answer.status_code == 404
        after = {one.name for one in (await admin.room.list_rooms(api.ListRoomsRequest())).rooms}
    assert not {name for name in after - before if name.startswith("greenroom-")}


async def test_a_session_ends_after_its_client_has_left(real_system: RealSystem, astronaut: str) -> None:
    """Contract 9: who disconnects and never says so ends the session too, and the room goes with it."""
    async with real_system.second_api(participants_left_s="1") as api_url:
        answer = await real_system.call("POST", "/v1/sessions", base=api_url, json={"avatar": astronaut})
        assert answer.status_code == 201, answer.text
        session = answer.json()["session"]
        workflow = real_system.temporal.get_workflow_handle(session["session_id"])
        async with PipecatPeer(session["room"]["roomURL"], session["room"]["participantToken"]), asyncio.timeout(20):
            while (await signals(workflow)) < 2:  # noqa: ASYNC110 - that nobody, and then that somebody is there
                await asyncio.sleep(0.2)
        async with asyncio.timeout(20):
            await workflow.result()
    found = await real_system.get(session["session_id"])
    assert found["end_reason"] == "participants_left"
    await room_gone(real_system.livekit, room_name(session))
    await real_system.wait_released()
