"""What a running session's process costs, beside a bare publisher that shows the same still."""

import asyncio
import time
from collections.abc import Callable

from bench.floors.processes import child
from bench.report import Row, row
from bench.site import Site, cpu_of, media_cpu, memory_mb

WINDOW_S = 3.0
SETTLE_S = 3.0
"""The encoder works harder on a picture's first seconds."""


async def measure_media(site: Site, rounds: int, tell: Callable[[str], None]) -> list[Row]:
    """The rows of CPU (percent of one core) and memory; session and floor run at the same time."""
    cpu: list[float] = []
    bare_cpu: list[float] = []
    memory: list[float] = []
    bare_memory: list[float] = []
    async with (
        child("bench.floors.publisher") as publisher,
        site.watched_room() as (room, viewer),
        site.watched_room() as (bare_room, bare_viewer),
    ):
        publisher.tell(
            {"url": site.running.livekit_url, "token": site.token(bare_room, "still", avatar=True)}
            | {"still": str(site.still), **site.media}
        )
        await publisher.answer()
        session_id = await site.create(room)
        await viewer.wait_full_frame(within_s=20)
        await bare_viewer.wait_full_frame(within_s=20)
        await asyncio.sleep(SETTLE_S)
        pid = await _busiest(site)
        for number in range(rounds):
            tell(f"media: window {number + 1} of {rounds}")
            both = (pid, publisher.pid)
            began, before = time.monotonic(), [cpu_of(one) for one in both]
            await asyncio.sleep(WINDOW_S)
            took = time.monotonic() - began
            spent = [(cpu_of(one) - earlier) / took * 100 for one, earlier in zip(both, before, strict=True)]
            cpu.append(spent[0])
            bare_cpu.append(spent[1])
            memory.append(memory_mb(pid))
            bare_memory.append(memory_mb(publisher.pid))
        await site.end(session_id)
    bare = "bare publisher of the same still"
    return [
        row("session_cpu", cpu, bare_cpu, unit="% of a core", reference_name=bare, ratio_goal=1.15),
        row("session_memory", memory, bare_memory, unit="MB", reference_name=bare, value_goal=220),
    ]


async def _busiest(site: Site) -> int:
    """The media process that serves; the spare does nothing."""
    before = media_cpu(site.running.run)
    await asyncio.sleep(1)
    after = media_cpu(site.running.run)
    return max(after, key=lambda pid: after[pid] - before.get(pid, after[pid]))
