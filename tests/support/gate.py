"""A gate before a real server: everything goes through it until it is shut, and again when it is opened."""

import asyncio
from contextlib import suppress
from typing import Self


class Gate:
    """A TCP relay on a loopback port of its own, which it keeps; open inside `async with`."""

    def __init__(self, port: int) -> None:
        self._behind = port
        self._server: asyncio.Server | None = None
        self._flows = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    @property
    def endpoint(self) -> str:
        """Its address for HTTP."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.shut()

    async def open(self) -> None:
        """Let everybody in."""
        self._flows.set()
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def hold(self) -> None:
        """Let nothing through any more, and say nothing: as a server that has stopped, or a network that is cut."""
        self._flows.clear()

    def refuse(self) -> None:
        """Refuse who knocks; who is inside stays."""
        if self._server is not None:
            self._server.close()

    async def shut(self) -> None:
        """Cut who is inside, and refuse who knocks; as a server's death does."""
        if self._server is not None:
            self._server.close()
            self._flows.set()
            for writer in self._writers:
                writer.transport.abort()
            await self._server.wait_closed()
            self._server = None

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            behind, to_behind = await asyncio.open_connection("127.0.0.1", self._behind)
        except OSError:  # the server is away: whoever knocks hears so at once
            writer.transport.abort()
            return
        mine = {writer, to_behind}
        self._writers |= mine
        try:
            await asyncio.gather(self._pass_on(reader, to_behind), self._pass_on(behind, writer))
        finally:
            self._writers -= mine
            for one in mine:
                one.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(2**16):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
            writer.write_eof()
