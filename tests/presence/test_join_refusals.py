"""Rooms that cannot be joined: each has its code, in time, and no text shows the token."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from domain.failures import FailureCode, Refused
from presence.processes.media_process import JOIN_WITHIN_S
from presence.processes.pool import MediaPool
from presence.processes.protocol import Join
from support.livekit_server import LiveKitServer, free_port
from support.tokens import avatar_token


async def refusal(media_pool: MediaPool, join: Join) -> tuple[Refused, float]:
    """The refusal of a join and how long it took; the process is gone afterwards."""
    process = await media_pool.take()
    started = time.monotonic()
    with pytest.raises(Refused) as caught:
        await process.join(join)
    seconds = time.monotonic() - started
    async with asyncio.timeout(15):
        ended = await process.wait_ended()
    assert ended.exit_code in (0, 1)  # 1: the watchdog ended a connect that cannot be called off
    assert not process.alive
    assert join.token not in caught.value.message
    return caught.value, seconds


TOKENS: dict[str, Callable[[LiveKitServer, str], str]] = {
    "wrong secret": lambda server, room: avatar_token(server, room, secret="x" * 48),
    "expired": lambda server, room: avatar_token(server, room, seconds=-300),
    "garbage": lambda _server, _room: "no-token-at-all",
}


@pytest.mark.parametrize("kind", TOKENS)
async def test_a_refused_token_is_named(
    kind: str,
    livekit_server: LiveKitServer,
    media_pool: MediaPool,
    make_join: Callable[..., Join],
    room_name: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A wrong, expired or meaningless token is ROOM_TOKEN_REFUSED, and stands in no message and no log."""
    caplog.set_level(logging.DEBUG)
    token = TOKENS[kind](livekit_server, room_name)
    refused, _ = await refusal(media_pool, make_join(livekit_server, token=token))
    await asyncio.sleep(0.1)
    assert refused.code == FailureCode.ROOM_TOKEN_REFUSED
    assert "401" in caplog.text
    assert token not in caplog.text
    assert token.rsplit(".", maxsplit=1)[-1] not in caplog.text


@pytest.mark.parametrize("grants", [{"can_publish": False}, {"can_publish_sources": ["microphone"]}])
async def test_a_token_without_the_right_to_publish_is_named(
    grants: dict[str, Any],
    livekit_server: LiveKitServer,
    media_pool: MediaPool,
    make_join: Callable[..., Join],
    room_name: str,
) -> None:
    """A token that lets nobody see the avatar is ROOM_JOIN_FAILED at once, and nobody stays in the room."""
    token = avatar_token(livekit_server, room_name, **grants)
    refused, seconds = await refusal(media_pool, make_join(livekit_server, token=token))
    assert refused.code == FailureCode.ROOM_JOIN_FAILED
    assert seconds < 5
    assert await livekit_server.identities(room_name) == set()


@asynccontextmanager
async def peer(answer: bytes | None) -> AsyncIterator[str]:
    """Something that listens: it answers each request with these bytes, or never."""
    open_writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_writers.append(writer)
        if answer is not None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in open_writers:
            writer.close()
        await server.wait_closed()


NOT_LIVEKIT = {
    "a web page": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "not found": b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nhi",
    "a server without backends": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
    "something else": b"220 smtp.example.test ESMTP\r\n",
}


@pytest.mark.parametrize("kind", NOT_LIVEKIT)
async def test_an_address_without_livekit_is_unreachable(
    kind: str, livekit_server: LiveKitServer, media_pool: MediaPool, make_join: Callable[..., Join]
) -> None:
    """Whatever else answers at the address, it is ROOM_UNREACHABLE."""
    async with peer(NOT_LIVEKIT[kind]) as url:
        refused, seconds = await refusal(media_pool, make_join(livekit_server, url=url))
    assert refused.code == FailureCode.ROOM_UNREACHABLE
    assert seconds < JOIN_WITHIN_S


@pytest.mark.parametrize("url", ["ws://127.0.0.1:{free}", "ws://no.such.host.invalid", "ftp://127.0.0.1", "nonsense"])
async def test_a_dead_address_is_unreachable(
    url: str, livekit_server: LiveKitServer, media_pool: MediaPool, make_join: Callable[..., Join]
) -> None:
    """A port that nobody listens on, an unknown name and what is no address at all are ROOM_UNREACHABLE."""
    refused, seconds = await refusal(media_pool, make_join(livekit_server, url=url.format(free=free_port())))
    assert refused.code == FailureCode.ROOM_UNREACHABLE
    assert seconds < JOIN_WITHIN_S


async def test_a_silent_peer_is_unreachable_in_time(
    livekit_server: LiveKitServer, media_pool: MediaPool, make_join: Callable[..., Join]
) -> None:
    """A peer that accepts and says nothing is ROOM_UNREACHABLE within the join's 8 s, though the SDK waits for 34."""
    async with peer(None) as url:
        refused, seconds = await refusal(media_pool, make_join(livekit_server, url=url))
    assert refused.code == FailureCode.ROOM_UNREACHABLE
    assert 5 < seconds < JOIN_WITHIN_S + 0.5


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"platform": "zoom"}, FailureCode.ROOM_PLATFORM_UNAVAILABLE),
        ({"portrait_sha256": "0" * 64}, FailureCode.INTERNAL_ERROR),
        ({"portrait_path": "missing.jpg"}, FailureCode.INTERNAL_ERROR),
        ({"width": 640, "height": 640}, FailureCode.INTERNAL_ERROR),
        ({"width": 641, "height": 480}, FailureCode.INTERNAL_ERROR),
        ({"codec": "H999"}, FailureCode.INTERNAL_ERROR),
    ],
)
async def test_what_cannot_be_shown_is_refused(
    changes: dict[str, Any],
    code: FailureCode,
    livekit_server: LiveKitServer,
    media_pool: MediaPool,
    make_join: Callable[..., Join],
    room_name: str,
) -> None:
    """A platform, a portrait or a format that this server cannot show is a refusal, and nobody stays in the room."""
    refused, _ = await refusal(media_pool, make_join(livekit_server, **changes))
    assert refused.code == code
    assert await livekit_server.identities(room_name) == set()
