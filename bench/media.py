"""What a session's process costs while it waits and while it talks, beside a bare publisher of the same still."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from bench.floors.processes import child
from bench.report import Goal, Row, row
from bench.site import Site, cpu_of, media_cpu, memory_mb
from bench.talk.agent import agent_in, agent_token
from bench.talk.sounds import babble
from domain.rooms import AVATAR_IDENTITY

WINDOW_S = 3.0
WITHIN_S = 5.0
"""What a window may take longer."""
SETTLE_S = 3.0
"""The encoder works harder on a picture's first seconds."""


async def measure_media(site: Site, rounds: int, tell: Callable[[str], None]) -> list[Row]:
    """The rows of CPU (percent of one core) and memory; session and floors run at the same time.

    First nobody speaks, then somebody does without a pause.
    """
    async with (
        child("bench.floors.publisher") as silent,
        child("bench.floors.publisher") as sounding,
        site.watched_room() as (room, viewer),
        site.watched_room() as (silent_room, silent_viewer),
        site.watched_room() as (sounding_room, sounding_viewer),
    ):
        silent.tell(site.publisher(silent_room))
        sounding.tell(site.publisher(sounding_room, sound=True))
        await asyncio.gather(silent.answer(), sounding.answer())
        session_id = await site.create(room)
        for one in (viewer, silent_viewer, sounding_viewer):
            await one.wait_full_frame(within_s=20)
        await asyncio.sleep(SETTLE_S)
        pids = await busiest(site), silent.pid, sounding.pid
        idle, talking = Windows(pids), Windows(pids)
        for number in range(rounds):
            tell(f"media: idle, window {number + 1} of {rounds}")
            await idle.one()
        async with talked_to(site, room, WINDOW_S * (rounds + 1) + SETTLE_S + WITHIN_S):
            await asyncio.sleep(SETTLE_S)
            for number in range(rounds):
                tell(f"media: talking, window {number + 1} of {rounds}")
                await talking.one()
        await site.end(session_id)
    return _rows(idle, talking)


def _rows(idle: "Windows", talking: "Windows") -> list[Row]:
    (ours, picture, both), (waits, waited, _) = talking.cpu, idle.cpu
    bare = "bare publisher of the same still"
    loud = f"{bare} and of silence"
    return [
        row("session_cpu", ours, picture, unit="% of a core", reference_name=bare, goal=Goal(ratio=1.3)),
        row("session_cpu_with_sound", ours, both, unit="% of a core", reference_name=loud, goal=Goal(ratio=1.3)),
        row("session_cpu_idle", waits, waited, unit="% of a core", reference_name=bare, goal=Goal(ratio=1.15)),
        row(
            "session_memory", talking.memory[0], talking.memory[2], unit="MB", reference_name=loud, goal=Goal(value=220)
        ),
    ]


@asynccontextmanager
async def talked_to(site: Site, room: str, seconds: float) -> AsyncIterator[None]:
    """Speech for so long, all sent at once: its agent then costs nothing."""
    running = site.running
    token = agent_token(running.livekit_api_key, running.livekit_api_secret, room)
    async with agent_in(running.livekit_url, token, AVATAR_IDENTITY) as agent:
        await agent.say(babble(seconds))
        yield


class Windows:
    """Percent of a core and megabytes of some processes, a number each a window."""

    def __init__(self, pids: tuple[int, ...]) -> None:
        self._pids = pids
        self.cpu: list[list[float]] = [[] for _ in pids]
        self.memory: list[list[float]] = [[] for _ in pids]

    async def one(self) -> None:
        """Watch for one window."""
        began, before = time.monotonic(), [cpu_of(pid) for pid in self._pids]
        await asyncio.sleep(WINDOW_S)
        took = time.monotonic() - began
        for index, pid in enumerate(self._pids):
            self.cpu[index].append((cpu_of(pid) - before[index]) / took * 100)
            self.memory[index].append(memory_mb(pid))


async def busiest(site: Site) -> int:
    """The media process that serves; the spare does nothing."""
    before = media_cpu(site.running.run)
    await asyncio.sleep(1)
    after = media_cpu(site.running.run)
    return max(after, key=lambda pid: after[pid] - before.get(pid, after[pid]))
