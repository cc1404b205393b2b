"""A TCP line in front of a server that is slow: whoever speaks after a silence is heard two seconds later."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

SILENCE_S = 0.5
"""What comes within this time of the last bytes belongs to the same call."""


class SlowLine:
    """Forwards connections; counts how often it made somebody wait."""

    def __init__(self, port: int, delay_s: float) -> None:
        self._port = port
        self.delay_s = delay_s
        self.waits = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        both = [asyncio.create_task(self._slowly(reader, back)), asyncio.create_task(self._at_once(there, writer))]
        self._tasks |= set(both)
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for task in both:
            task.cancel()
        writer.close()
        back.close()

    async def _slowly(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        heard = 0.0
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                if loop.time() - heard > SILENCE_S:
                    self.waits += 1
                    await asyncio.sleep(self.delay_s)
                heard = loop.time()
                writer.write(data)
                await writer.drain()

    async def _at_once(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()

    async def aclose(self) -> None:
        """Cut every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def slow_line(port: int, delay_s: float = 2.0) -> AsyncIterator[tuple[SlowLine, int]]:
    """A slow line to a port of this machine, and the port that it listens on."""
    line = SlowLine(port, delay_s)
    server = await asyncio.start_server(line.serve, "127.0.0.1", 0)
    try:
        yield line, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await line.aclose()
        await server.wait_closed()
