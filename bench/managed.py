"""What it costs that a session's room is made for it: the same create beside one that brings a room, turn by turn."""

import time
from collections.abc import Callable

from bench.report import Goal, Row, row
from bench.site import Site

GOAL_MS = 30.0


async def measure_managed(site: Site, rounds: int, tell: Callable[[str], None]) -> list[Row]:
    """The row of a create without a room; the first round is not counted."""
    own: list[float] = []
    managed: list[float] = []
    for number in range(-1, rounds):
        tell(f"managed rooms: round {number + 1} of {rounds}")
        # Turn about: what the machine does meanwhile meets both alike.
        for kind in ("own", "managed") if number % 2 else ("managed", "own"):
            await site.quiet()
            room = await site.new_room() if kind == "own" else ""
            began = time.perf_counter()
            session_id = await (site.create(room) if room else site.create_managed())
            took = (time.perf_counter() - began) * 1000
            await site.end(session_id)
            if number >= 0:
                (own if room else managed).append(took)
    goal = Goal(more=GOAL_MS)
    return [row("create_managed", managed, own, unit="ms", reference_name="the same with a room of its own", goal=goal)]
