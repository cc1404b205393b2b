"""A floor's process: it reads JSON lines, answers JSON lines, and ends with its input."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


class Child:
    """One process of a floor, as the bench sees it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def tell(self, command: dict[str, Any]) -> None:
        """Send a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")

    async def answer(self, *, within_s: float = 30.0) -> dict[str, Any]:
        """The next answer; TimeoutError, or EOFError where the process has ended."""
        assert self._process.stdout is not None
        async with asyncio.timeout(within_s):
            text = await self._process.stdout.readline()
        if not text:
            raise EOFError(f"a floor's process ended: {self._process.pid}")
        answer: dict[str, Any] = json.loads(text)
        return answer


@asynccontextmanager
async def child(module: str, *arguments: str) -> AsyncIterator[Child]:
    """A running process that has said its first word, `{"ready": true}`; it is gone afterwards."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        one = Child(process)
        await one.answer(within_s=120)  # some import for long
        yield one
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(5):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def say(**answer: Any) -> None:
    """Answer, from within a floor's process."""
    print(json.dumps(answer), flush=True)  # noqa: T201


async def commands() -> AsyncIterator[dict[str, Any]]:
    """The commands that come, until the input ends."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    try:
        while text := await reader.readline():
            yield json.loads(text)
    finally:
        transport.close()
