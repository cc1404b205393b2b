"""A client without an agent: it opens a session's control socket, and speaks through it."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import numpy as np

from support.real_system import Live, RealSystem

RATE, PITCH = 22_050, 440
ANSWER_WITHIN_S = 15.0


def tone(seconds: float) -> str:
    """A tone as `agent.speak` takes it."""
    samples = np.sin(np.arange(int(RATE * seconds)) * 2 * np.pi * PITCH / RATE) * 12_000
    return base64.b64encode(samples.astype("<i2").tobytes()).decode()


@asynccontextmanager
async def controlling(system: RealSystem, live: Live, base: str = "") -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """The client's socket at the system's API, or another at `base`; initialised."""
    url = (base or system.running.api_url).replace("http://", "ws://") + "/ws"
    async with aiohttp.ClientSession() as http, http.ws_connect(url) as socket:
        token = live.session["session_token"]
        await socket.send_json({"type": "session.init", "session_id": live.session_id, "session_token": token})
        assert (await said(socket))["type"] == "connection.established"
        yield socket


async def said(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    """The next message."""
    return dict(json.loads(await socket.receive_str(timeout=ANSWER_WITHIN_S)))


async def speak(socket: aiohttp.ClientWebSocketResponse, seconds: float) -> dict[str, Any]:
    """Let the avatar say a tone; what the socket answers."""
    await socket.send_json({"type": "agent.speak", "audio": tone(seconds), "sample_rate": RATE})
    return await said(socket)
