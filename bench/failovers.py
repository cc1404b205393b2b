"""How long a picture is away whose avatar server is killed while another one is free."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import msgspec

from bench.report import Goal, Row, row
from bench.site import Site
from cli.viewer import Viewer
from contracts.search_attributes import AVATAR_SERVER
from runtime.system.plan import worker_part

GOAL_S = 5.0
SECOND = "bench-second"
STILL_S = 1.0
"""Without a frame for so long the picture is away: what was on its way has arrived."""
SETTLE_S = 5.0
"""A server that has just started has a spare process to make ready."""
WITHIN_S = 40.0


async def measure_failovers(site: Site, rounds: int, tell: Callable[[str], None]) -> list[Row]:
    """One row: from kill -9 of the server to the next picture, beside a whole create of the same round."""
    gaps, creates = list[float](), list[float]()
    async with second_server(site):
        for number in range(rounds):
            tell(f"failover: round {number + 1} of {rounds}")
            await asyncio.sleep(SETTLE_S)
            async with site.watched_room() as (room, viewer):
                began = time.monotonic()
                session_id = await site.create(room)
                await viewer.wait_full_frame(within_s=WITHIN_S)
                creates.append(viewer.first_full_at - began)
                await asyncio.sleep(2)
                part = await serving(site, session_id)
                site.running.kill(part)
                gaps.append(await gap(viewer))
                await site.end(session_id)
            await site.running.wait_ready(part)
    floor = "a create of the same round, from POST to picture"
    return [row("failover_gap", gaps, creates, unit="s", reference_name=floor, goal=Goal(value=GOAL_S))]


async def gap(viewer: Viewer) -> float:
    """Seconds from now to the first picture after the picture went away."""
    killed = time.monotonic()
    seen, since = viewer.frames, killed
    async with asyncio.timeout(WITHIN_S):
        while True:
            await asyncio.sleep(0.01)
            now = time.monotonic()
            if viewer.frames == seen:
                continue
            if now - since > STILL_S:
                return now - killed
            seen, since = viewer.frames, now


async def serving(site: Site, session_id: str) -> str:
    """The part that shows a session's avatar."""
    found = await site.temporal.get_workflow_handle(session_id).describe()
    return SECOND if found.typed_search_attributes.get(AVATAR_SERVER) == SECOND else "avatar"


@asynccontextmanager
async def second_server(site: Site) -> AsyncIterator[None]:
    """Another avatar server of the same system."""
    where = site.running.site
    environ = {**where.environ, "GREENROOM_AVATAR_NAME": SECOND}
    ports = msgspec.structs.replace(where.ports, avatar_metrics=0)
    part = replace(worker_part(replace(where, environ=environ, ports=ports), "avatar"), name=SECOND)
    await site.running.supervisor.start(part)
    try:
        yield
    finally:
        await site.running.supervisor.stop(SECOND)
