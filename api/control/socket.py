"""One WebSocket, as ASGI gives it: messages in pieces, JSON out."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar.types import Receive, Send

NORMAL = 1000
REFUSED = 1008
RESTARTING = 1012


class Gone(Exception):
    """The peer has closed, or was lost; `code` as WebSocket has it, `clean` where it said goodbye."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the socket was closed with code {code}")
        self.code = code

    @property
    def clean(self) -> bool:
        """Did the peer mean it? A page that is reloaded, or a connection that breaks, does not."""
        return self.code == NORMAL


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A part of a message; text or binary."""

    text: str | None
    data: bytes | None
    more: bool


class Socket:
    """An accepted WebSocket. Any number of tasks may send."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._sending = asyncio.Lock()

    async def accept(self) -> None:
        """Open it."""
        await self._receive()
        await self._send({"type": "websocket.accept", "subprotocol": None, "headers": []})

    async def piece(self) -> Piece:
        """The next piece of a message; Gone when there is none."""
        event: dict[str, Any] = dict(await self._receive())
        if event["type"] != "websocket.receive":
            raise Gone(event.get("code") or NORMAL)
        return Piece(text=event.get("text"), data=event.get("bytes"), more=event.get("more", False))

    async def message(self) -> AsyncIterator[Piece]:
        """The pieces of one message."""
        while True:
            piece = await self.piece()
            yield piece
            if not piece.more:
                return

    async def small_json(self, at_most: int = 64 * 1024) -> dict[str, Any]:
        """One whole small JSON object; ValueError if it is none."""
        text = ""
        async for piece in self.message():
            text += piece.text or ""
            if len(text) > at_most:
                raise ValueError("too long")
        decoded: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
        return decoded

    async def say(self, type_: str, **fields: Any) -> None:
        """Send one JSON object."""
        text = msgspec.json.encode({"type": type_, **fields}).decode()
        async with self._sending:
            await self._send({"type": "websocket.send", "text": text, "bytes": None})

    async def sound(self, data: bytes) -> None:
        """Send one binary message."""
        async with self._sending:
            await self._send({"type": "websocket.send", "bytes": data, "text": None})

    async def close(self, code: int, reason: str = "") -> None:
        """Close it; what the peer still sends is read and forgotten by `piece`."""
        async with self._sending:
            await self._send({"type": "websocket.close", "code": code, "reason": reason})
