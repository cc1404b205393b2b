"""Control sockets over real connections: clients on one side, the avatar's end of the line on the other."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import msgspec
import numpy as np
import pytest
from sqlalchemy import select
from temporalio.client import Client

from adapters.relay_tokens import RelayTokens
from api.app import create_app
from api.serving import api_server
from database.engine import reading
from database.tables import control_lines
from presence.speech.control_line import ControlAddress, ControlLine
from presence.speech.soxr import SoxrResampler
from presence.speech.speech_queue import SpeechQueue
from runtime.settings import parse_keys
from runtime.system.ports import free_port
from support.api_system import ROOM, ApiSystem, environment
from support.eventually import eventually

TONE = (np.sin(np.arange(24_000) * 0.2) * 8000).astype("<i2").tobytes()
"""One second at 24 kHz."""


class Speaker:
    """The avatar's end: a queue that is played in real time, in 40 ms steps, and remembered."""

    def __init__(self, grace_s: float = 0.5) -> None:
        self.queue = SpeechQueue(asyncio.get_running_loop(), SoxrResampler)
        self.lost = asyncio.Event()
        self.line = ControlLine(self.queue, self.lost.set, grace_s)
        self.heard = 0
        self._playing = asyncio.create_task(self._play())

    async def _play(self) -> None:
        while True:
            samples, _ = self.queue.read(1920, asyncio.get_running_loop().time())
            self.heard += int(np.count_nonzero(samples))
            await asyncio.sleep(0.04)

    async def aclose(self) -> None:
        """Stop."""
        self._playing.cancel()
        await self.line.aclose()


@pytest.fixture
async def speaker() -> AsyncIterator[Speaker]:
    """An avatar's end of a line."""
    speaker = Speaker()
    yield speaker
    await speaker.aclose()


class Site:
    """One API process with its two ports, and a session to control."""

    def __init__(self, system: ApiSystem, client: Client) -> None:
        self.system = system
        self.port, self.control_port = free_port(set()), 0
        self.control_port = free_port({self.port})
        self.settings = msgspec.structs.replace(
            system.settings, port=self.port, control_port=self.control_port, control_message_mb=4
        )
        self._temporal = client
        self._sessions: list[str] = []
        self.tokens = RelayTokens(parse_keys(self.settings.sealing_keys, "SEALING"))

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Site"]:
        """Serve until the end."""
        server, sockets = api_server(create_app(self.settings, environment(self._temporal)), self.settings)
        serving = asyncio.create_task(server.serve(sockets=sockets))
        try:
            await eventually(lambda: server.started or serving.done())
            yield self
        finally:
            for session_id in self._sessions:
                await self.system.request("POST", f"/v1/sessions/{session_id}/end")
            server.should_exit = True
            await serving

    async def session(self) -> dict[str, Any]:
        """A session that has started."""
        await self.system.a_slot_is_free()
        avatar = await self.system.avatar()
        body = {"avatar": avatar, "room": ROOM}
        status, answer = await self.system.request("POST", "/v1/sessions", json=body)
        assert status == 201, answer
        self._sessions.append(answer["session"]["session_id"])
        return dict(answer["session"])

    async def address(self, session_id: str, generation: int = 1) -> ControlAddress:
        """What a lease renewal tells the avatar."""
        query = select(control_lines).where(control_lines.c.session_id == session_id)
        async with reading(self.system.engine) as connection:
            row = (await connection.execute(query)).one()
        url = f"{row.address}/relay/{session_id}?generation={generation}"
        return ControlAddress(url=url, token=self.tokens.make(session_id, generation), number=row.number)


@pytest.fixture
async def site(api_system: ApiSystem, temporal_apart: Client) -> AsyncIterator[Site]:
    """A second API process's worth of the shared system, on real ports."""
    async with Site(api_system, temporal_apart).running() as site:
        yield site


class Control:
    """A client's socket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def say(self, type_: str, **fields: Any) -> None:
        """Send one message."""
        await self._socket.send_str(json.dumps({"type": type_, **fields}))

    async def speak(self, pcm: bytes, rate: int = 24_000) -> None:
        """Send an utterance."""
        await self.say("agent.speak", audio=base64.b64encode(pcm).decode(), sample_rate=rate)

    async def hear(self) -> dict[str, Any]:
        """The next message; for a closed socket its code."""
        async with asyncio.timeout(15):
            message = await self._socket.receive()
        if message.type != aiohttp.WSMsgType.TEXT:
            return {"closed": self._socket.close_code}
        return dict(json.loads(message.data))

    async def close(self, code: int = 1000) -> None:
        """Say goodbye."""
        await self._socket.close(code=code)

    def drop(self) -> None:
        """Be gone without a word."""
        transport = self._socket._conn and self._socket._conn.transport
        assert transport is not None
        transport.abort()


@asynccontextmanager
async def control(site: Site, *, port: int = 0, path: str = "/ws") -> AsyncIterator[Control]:
    """A connected client."""
    url = f"ws://127.0.0.1:{port or site.port}{path}"
    async with aiohttp.ClientSession() as http, http.ws_connect(url, max_msg_size=0) as socket:
        yield Control(socket)


@asynccontextmanager
async def initialised(site: Site, session: dict[str, Any], **how: Any) -> AsyncIterator[Control]:
    """A client whose token was accepted."""
    async with control(site, **how) as client:
        await client.say("session.init", session_id=session["session_id"], session_token=session["session_token"])
        assert await client.hear() == {"type": "connection.established", "session_id": session["session_id"]}
        yield client


async def test_a_client_says_what_the_avatar_speaks(site: Site, speaker: Speaker) -> None:
    """On the listener of its own, at `/`: confirmed with the samples at 16 kHz once the avatar has it, and played."""
    session = await site.session()
    async with initialised(site, session, port=site.control_port, path="/") as client:
        await client.speak(TONE)  # before the avatar is there
        speaker.line.told(await site.address(session["session_id"]))
        assert await client.hear() == {"type": "agent.speak.confirmed", "audio_samples": 16_000}
        await eventually(lambda: speaker.heard > 40_000)
        await client.speak(TONE[:9_600], rate=8_000)
        assert await client.hear() == {"type": "agent.speak.confirmed", "audio_samples": 9_600}


async def test_an_interruption_overtakes_what_waits(site: Site, speaker: Speaker) -> None:
    """Two minutes are sent, and taken back: the avatar falls silent at once, whatever was under way."""
    session = await site.session()
    async with initialised(site, session) as client:
        speaker.line.told(await site.address(session["session_id"]))
        await client.speak(TONE * 60)  # 2.9 MB: more than the avatar takes at once
        await eventually(lambda: speaker.heard > 0)
        await client.say("agent.interrupt")
        assert await client.hear() == {"type": "agent.interrupt.confirmed"}
        heard = speaker.heard
        await asyncio.sleep(0.3)
        assert speaker.heard == heard
        await client.speak(TONE)
        assert await client.hear() == {"type": "agent.speak.confirmed", "audio_samples": 16_000}
        await eventually(lambda: speaker.heard > heard + 40_000)


async def test_a_long_speech_is_taken_as_it_is_played(site: Site, speaker: Speaker) -> None:
    """The avatar holds seconds of it, not minutes; the rest waits on the API's disk."""
    session = await site.session()
    async with initialised(site, session) as client:
        speaker.line.told(await site.address(session["session_id"]))
        await client.speak(TONE * 60)
        await eventually(lambda: speaker.heard > 48_000)
        assert speaker.queue.buffered_s < 25


@pytest.mark.parametrize("how", ["wrong token", "another's token", "relay token", "unknown session", "ended session"])
async def test_only_the_sessions_token_opens_it(site: Site, how: str) -> None:
    """Each refusal is an error and a close, and notes no address."""
    session = await site.session()
    session_id, token = session["session_id"], session["session_token"]
    said = "Invalid session credentials"
    if how == "wrong token":
        token = token[:-2] + ("AA" if token[-2:] != "AA" else "BB")
    elif how == "another's token":
        token = (await site.session())["session_token"]
    elif how == "relay token":
        token = site.tokens.make(session_id, 1)
    elif how == "unknown session":
        session_id = "sess_unknown"
    else:
        await site.system.request("POST", f"/v1/sessions/{session_id}/end")
        said = "Session has ended"
    async with control(site) as client:
        await client.say("session.init", session_id=session_id, session_token=token)
        assert await client.hear() == {"type": "error", "error": said}
        assert await client.hear() == {"closed": 1008}
    query = select(control_lines).where(control_lines.c.session_id == session_id)
    async with reading(site.system.engine) as connection:
        assert (await connection.execute(query)).all() == []


async def test_the_first_message_is_an_init(site: Site) -> None:
    """Anything else closes the socket."""
    for first in ({"type": "agent.interrupt"}, {"type": "agent.speak", "audio": "AAAA"}, {}):
        async with control(site) as client:
            await client.say(**{"type_": first.pop("type", "nothing"), **first})
            assert await client.hear() == {"type": "error", "error": "First message must be session.init"}
            assert await client.hear() == {"closed": 1008}


async def test_errors_keep_the_socket_open(site: Site, speaker: Speaker) -> None:
    """What cannot be followed is said, and the next message works; a message that is too large ends it."""
    session = await site.session()
    async with initialised(site, session) as client:
        for type_, fields, said in (
            ("agent.dance", {}, "Unknown message type"),
            ("agent.speak", {"audio": "*"}, "Invalid audio data: not base64"),
            ("session.init", {"session_id": "a", "session_token": "b"}, "The session is initialised already"),
        ):
            await client.say(type_, **fields)
            assert await client.hear() == {"type": "error", "error": said}
        speaker.line.told(await site.address(session["session_id"]))
        await client.speak(TONE)
        assert (await client.hear())["type"] == "agent.speak.confirmed"
        with suppress(ConnectionError):
            await client.speak(TONE * 90)  # 5.8 MB of base64, where 4 MB are allowed
        assert await client.hear() == {"closed": 1009}


async def test_the_end_of_the_session_closes_the_socket(site: Site) -> None:
    """Also where no avatar is attached that could tell."""
    session = await site.session()
    async with initialised(site, session) as client:
        await site.system.request("POST", f"/v1/sessions/{session['session_id']}/end")
        assert await client.hear() == {"closed": 1000}


@pytest.mark.parametrize("how", ["goodbye", "lost"])
async def test_the_loss_of_the_socket_is_told(site: Site, speaker: Speaker, how: str) -> None:
    """Row `WebSocket disconnect ends the session` (contract 11): only of one that had been opened.

    At once after a goodbye, after the grace where the connection broke.
    """
    session = await site.session()
    async with initialised(site, session) as client:
        speaker.line.told(await site.address(session["session_id"]))
        await client.speak(TONE)
        await client.hear()
        assert not speaker.lost.is_set()
        if how == "goodbye":
            await client.close()
        else:
            client.drop()
        async with asyncio.timeout(15):
            await speaker.lost.wait()


async def test_a_client_that_comes_back_in_time_loses_nothing(
    api_system: ApiSystem, temporal_apart: Client, site: Site
) -> None:
    """Even to another API process: the renewal tells where, and the avatar dials there."""
    session = await site.session()
    speaker = Speaker(grace_s=20)
    try:
        async with initialised(site, session) as client:
            speaker.line.told(await site.address(session["session_id"]))
            await client.speak(TONE)
            await client.hear()
            client.drop()
        async with Site(api_system, temporal_apart).running() as other, initialised(other, session) as client:
            speaker.line.told(await other.address(session["session_id"]))
            heard = speaker.heard
            await client.speak(TONE)
            assert (await client.hear())["type"] == "agent.speak.confirmed"
            await eventually(lambda: speaker.heard > heard)
            assert not speaker.lost.is_set()
    finally:
        await speaker.aclose()


@pytest.mark.parametrize("how", ["session token", "another generation", "no token", "older generation"])
async def test_only_the_sessions_avatar_answers(site: Site, how: str) -> None:
    """A relay token is for one generation, a session token is none, and an older generation is turned away."""
    session = await site.session()
    session_id = session["session_id"]
    async with initialised(site, session):
        good = await site.address(session_id, 2)
        headers = {"x-relay-token": good.token}
        async with aiohttp.ClientSession() as http, http.ws_connect(good.url, headers=headers):
            generation = 1 if how == "older generation" else 2
            token = {
                "session token": session["session_token"],
                "another generation": site.tokens.make(session_id, 3),
                "no token": "",
                "older generation": site.tokens.make(session_id, 1),
            }[how]
            url = f"ws://127.0.0.1:{site.port}/relay/{session_id}?generation={generation}"
            with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
                await http.ws_connect(url, headers={"x-relay-token": token})
            assert refusal.value.status == 403


async def test_the_control_port_serves_nothing_else(site: Site) -> None:
    """Neither the API nor the avatars' way in; and the API's port has no socket elsewhere."""
    async with aiohttp.ClientSession() as http:
        async with http.get(f"http://127.0.0.1:{site.control_port}/healthz") as answer:
            assert answer.status == 404
        for port, path in ((site.control_port, "/relay/sess_1"), (site.port, "/elsewhere")):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
                await http.ws_connect(f"ws://127.0.0.1:{port}{path}")
            assert refusal.value.status == 403
