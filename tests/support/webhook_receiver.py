"""A customer's server on loopback: takes POSTs, checks their signatures with the library, answers as it is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from standardwebhooks import Webhook

from support.eventually import eventually


@dataclass(frozen=True, kw_only=True)
class Received:
    """One POST as it came."""

    headers: dict[str, str]
    body: bytes

    @property
    def event_id(self) -> str:
        """By which a receiver knows what it has had before."""
        return self.headers["webhook-id"]

    def checked(self, secret: str) -> Any:
        """The body, if the secret's signature is there; WebhookVerificationError otherwise."""
        return Webhook(secret).verify(self.body, self.headers)


@dataclass
class WebhookReceiver:
    """What came, and how the next ones are answered: by `answers` first, then 204."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    silent: bool = False
    """Takes connections and requests, and never answers."""

    @property
    def url(self) -> str:
        """Where it listens; the path holds what must not be seen elsewhere."""
        return f"http://127.0.0.1:{self.port}/hooks/a-secret-in-the-path"

    async def came(self, number: int) -> list[Received]:
        """Wait until so many POSTs have come."""
        await eventually(lambda: len(self.received) >= number, within_s=60)
        return self.received

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            lines = head.split("\r\n")[1:-2]
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self.received.append(Received(headers=headers, body=body))
            if self.silent:
                await asyncio.sleep(60)
            writer.write(self.answers.pop(0) if self.answers else answer(204))
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


def answer(status: int, **headers: str) -> bytes:
    """An answer without a body."""
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} X\r\n{more}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()


@asynccontextmanager
async def webhook_receiver() -> AsyncIterator[WebhookReceiver]:
    """A receiver on a free port."""
    receiver = WebhookReceiver()
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(receiver.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
