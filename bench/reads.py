"""Reading a session through the API, beside a bare route that answers the same body."""

import http.client
import time
from collections.abc import Callable

from bench.floors.processes import child
from bench.report import Goal, Row, row
from bench.site import Site
from runtime.system.ports import free_port

EACH = 20
"""Requests a round, so that both servers see the same weather."""


async def measure_reads(site: Site, rounds: int, tell: Callable[[str], None]) -> list[Row]:
    """The row of GET /v1/sessions/{id}, of a session that runs."""
    async with site.watched_room() as (room, viewer):
        session_id = await site.create(room)
        await viewer.wait_full_frame(within_s=20)
        # What is read is what clients read most: a session that has ended costs nothing beside.
        await site.end(session_id)
    port = free_port(set())
    path, key = f"/v1/sessions/{session_id}", {"x-api-key": site.running.api_key}
    body = (await site.http.get(path)).text
    async with child("bench.floors.http", str(port)) as bare:
        bare.tell({"body": body})
        await bare.answer()
        ours = http.client.HTTPConnection("127.0.0.1", site.running.site.ports.api)
        floor = http.client.HTTPConnection("127.0.0.1", port)
        await site.quiet()
        values: list[float] = []
        floors: list[float] = []
        for number in range(-1, rounds):
            tell(f"reads: round {number + 1} of {rounds}")
            for connection, numbers in ((ours, values), (floor, floors)):
                took = [timed(connection, path, key, body) for _ in range(EACH)]
                numbers.extend(took if number >= 0 else [])
        ours.close()
        floor.close()
    name = "bare Litestar route, same body"
    return [row("api_read", values, floors, unit="ms", reference_name=name, goal=Goal(ratio=1.5))]


def timed(connection: http.client.HTTPConnection, path: str, headers: dict[str, str], body: str) -> float:
    """Milliseconds of one request on a connection that is kept; AssertionError if it answers something else."""
    began = time.perf_counter()
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse().read()
    took = (time.perf_counter() - began) * 1000
    if len(answer) != len(body):
        raise AssertionError(f"answered {answer!r}, not {body!r}")
    return took
