"""Rooms and tokens on a real LiveKit server."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from livekit import api, rtc
from ulid import ULID

from adapters.livekit_rooms import LiveKitAccess, LiveKitRooms, LiveKitTokens
from domain.failures import FailureCode, Refused, Unavailable
from support.livekit_server import LiveKitServer, free_port

CLOSES = {"empty": timedelta(seconds=70), "departure": timedelta(seconds=40)}


def access_to(server: LiveKitServer, **changes: str) -> LiveKitAccess:
    """The server's key."""
    usual = {"url": server.url, "api_key": server.api_key, "api_secret": server.api_secret}
    return LiveKitAccess(**{**usual, **changes})


@asynccontextmanager
async def rooms_of(access: LiveKitAccess) -> AsyncIterator[LiveKitRooms]:
    """Rooms, closed afterwards."""
    rooms = LiveKitRooms(access)
    try:
        yield rooms
    finally:
        await rooms.aclose()


def claims(token: str) -> dict[str, Any]:
    """What a token says."""
    middle = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4))))


async def test_a_room_is_made_once_and_deleted_once(livekit_server: LiveKitServer) -> None:
    """Both may be repeated: a room that is there keeps its limits, one that is gone is no error."""
    name = f"made-{ULID()}"
    async with rooms_of(access_to(livekit_server)) as rooms, livekit_server.admin() as admin:
        await rooms.make(name, **CLOSES)
        await rooms.make(name, **CLOSES)
        (found,) = (await admin.room.list_rooms(api.ListRoomsRequest(names=[name]))).rooms
        assert (found.empty_timeout, found.departure_timeout, found.max_participants) == (70, 40, 4)
        await rooms.delete(name)
        await rooms.delete(name)
        assert not (await admin.room.list_rooms(api.ListRoomsRequest(names=[name]))).rooms


async def test_a_wrong_secret_is_our_fault_and_says_nothing_of_it(livekit_server: LiveKitServer) -> None:
    """The operator's setting is wrong: no client can mend it, and no message holds the secret."""
    async with rooms_of(access_to(livekit_server, api_secret="w" * 40)) as rooms:
        with pytest.raises(Refused) as caught:
            await rooms.make("any", **CLOSES)
    assert caught.value.code == FailureCode.INTERNAL_ERROR
    assert "w" * 40 not in str(caught.value)


async def test_a_server_that_is_away_is_worth_another_attempt(livekit_server: LiveKitServer) -> None:
    """Nobody listens: Unavailable, for a delete as for a make."""
    async with rooms_of(access_to(livekit_server, url=f"ws://127.0.0.1:{free_port()}")) as rooms:
        with pytest.raises(Unavailable):
            await rooms.make("any", **CLOSES)
        with pytest.raises(Unavailable):
            await rooms.delete("any")


def test_a_token_lets_into_one_room_and_is_bounded(livekit_server: LiveKitServer) -> None:
    """It grants joining, publishing, subscribing and data in its room, nothing of the server, for 25 h at most."""
    tokens = LiveKitTokens(access_to(livekit_server))
    client = claims(tokens.participant("r1", "client", timedelta(days=9)))
    grants = {"roomJoin": True, "room": "r1", "canPublish": True, "canSubscribe": True, "canPublishData": True}
    assert client["video"] == grants
    assert client["sub"] == "client"
    assert client["exp"] - client["nbf"] == 25 * 3600
    short = claims(tokens.participant("r1", "client", timedelta(minutes=7)))
    assert short["exp"] - short["nbf"] == 7 * 60
    avatar = claims(tokens.avatar("r1", "the-avatar", client="client"))
    assert (avatar["video"], avatar["kind"]) == (grants, "agent")
    assert avatar["attributes"] == {"lk.publish_on_behalf": "client", "greenroom.client": "client"}


async def test_nobody_gets_in_whose_token_is_for_another_room(livekit_server: LiveKitServer) -> None:
    """The room of a connection is the token's."""
    token = LiveKitTokens(access_to(livekit_server)).participant(f"mine-{ULID()}", "client")
    room = rtc.Room()
    await room.connect(livekit_server.url, token)
    assert room.name.startswith("mine-")
    await room.disconnect()
