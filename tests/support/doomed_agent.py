"""A process whose agent begins to speak and never ends: tests kill it in the midst."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from livekit import rtc

from support.agent_peer import set_state
from support.plain_agent import send
from support.speech_bench import tone

TESTS = Path(__file__).resolve().parents[1]


@asynccontextmanager
async def doomed_agent(url: str, token: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Such a process, which has sent its speech; it is gone afterwards."""
    environ = {"PYTHONPATH": f"{TESTS}:{TESTS.parent}"}
    command = (sys.executable, "-m", "support.doomed_agent", url)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=environ)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(token.encode() + b"\n")
        assert await process.stdout.readline() == b"speaking\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def main(url: str, token: str) -> None:
    """Speak for 20 s on a stream without an end."""
    room = rtc.Room()
    await room.connect(url, token, rtc.RoomOptions(auto_subscribe=False))
    await set_state(room, "speaking")  # as all agents do; of silent ones a server tells seconds late
    await send(room, tone(20.0, 16_000), {}, end=False)
    print("speaking", flush=True)  # noqa: T201
    await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.stdin.readline().strip()))
