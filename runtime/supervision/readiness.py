"""When a child process counts as ready: it listens, it answers, or it says so; nothing here waits for a fixed time."""

import asyncio
import contextlib
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass

POLL_S = 0.05
ANSWER_WITHIN_S = 2.0

READY_LINE = "ready"
"""The line that a worker prints when it has begun to take work."""


@dataclass(frozen=True, kw_only=True)
class ListensOn:
    """Ready when something accepts TCP connections there."""

    host: str
    """Where to connect to."""

    port: int
    """As above."""

    async def seen(self, lines: Callable[[str], bool]) -> bool:
        """Whether it is ready now."""
        del lines
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(ANSWER_WITHIN_S):
                _, writer = await asyncio.open_connection(self.host, self.port)
                writer.close()
                return True
        return False


@dataclass(frozen=True, kw_only=True)
class AnswersAt:
    """Ready when a GET of this http address answers 200."""

    url: str
    """An address without TLS."""

    async def seen(self, lines: Callable[[str], bool]) -> bool:
        """Whether it is ready now."""
        del lines
        with contextlib.suppress(OSError, TimeoutError, ValueError):
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await self._status() == 200  # noqa: PLR2004
        return False

    async def _status(self) -> int:
        # By hand: an HTTP client costs the supervisor .2 s and 15 MB for one line.
        parts = urllib.parse.urlsplit(self.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            writer.write(
                f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode()
            )
            status = await reader.readline()
            return int(status.split()[1]) if status.startswith(b"HTTP/1.") else 0
        finally:
            writer.close()


@dataclass(frozen=True, kw_only=True)
class Says:
    """Ready when it has printed this text on a line of its own."""

    text: str
    """The whole line."""

    async def seen(self, lines: Callable[[str], bool]) -> bool:
        """Whether it is ready now."""
        return lines(self.text)


Ready = ListensOn | AnswersAt | Says
