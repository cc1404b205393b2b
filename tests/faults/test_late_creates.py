"""Capacity and late creates (design rule 2): never one too many, and what was given up never starts afterwards."""

import asyncio
from collections.abc import Callable

import httpx
import pytest

from support import pictures
from support.fault_bench import Bench, said_by, stopped
from support.fresh_pictures import as_avatar
from support.real_system import SLOTS, new_room

Begin = Callable[[str, str], Bench]

TOO_MANY = 4
ROUNDS = 3
WITHIN_S = 4
"""The create's own time in the tests of deadlines."""
LATER_S = 8.0
"""For so long after everybody is awake again nothing may start."""


async def nothing_starts(bench: Bench) -> None:
    """For 8 s no session is started; then nothing of the create is left."""
    before = bench.rows("SELECT count(*) FROM session_events WHERE step = 'record_started'")
    await asyncio.sleep(LATER_S)
    assert bench.rows("SELECT count(*) FROM session_events WHERE step = 'record_started'") == before
    assert bench.sessions_open() == 0
    await bench.whole()


@pytest.mark.databases("SQLite", "PostgreSQL")
async def test_as_many_as_there_are_slots(begin: Begin, astronaut: str) -> None:
    """K slots, K+4 creates at once through two API processes, three rounds: K succeed, 4 are told AT_CAPACITY."""
    bench = begin("nothing", f"{SLOTS} slots, {SLOTS + TOO_MANY} creates at once, by two APIs")
    async with bench.system.second_api() as other:
        bench.case.fault_now()
        for _ in range(ROUNDS):
            bases = [other if number % 2 else "" for number in range(SLOTS + TOO_MANY)]
            answers = await asyncio.gather(*(bench.create(astronaut, new_room(), base, wait_up_to=0) for base in bases))
            assert None not in answers
            told = [answer for answer in answers if answer is not None]
            assert sorted(map(said_by, told)) == ["201"] * SLOTS + ["503 AT_CAPACITY"] * TOO_MANY
            assert all("retry-after" in answer.headers for answer in told if answer.status_code == 503)
            assert bench.sessions_open() == SLOTS
            made = [answer.json()["session"]["session_id"] for answer in told if answer.status_code == 201]
            await asyncio.gather(*(bench.system.end(session_id) for session_id in made))
            await bench.system.wait_released()
        bench.case.steady(f"{ROUNDS} rounds: exactly {SLOTS} each time, the others 503 AT_CAPACITY with Retry-After")
    await bench.whole()


@pytest.mark.parametrize("part", ["sessions", "faces", "avatar"])
async def test_the_deadline_passes_while_a_part_stands_still(begin: Begin, part: str) -> None:
    """A worker hangs through the create's whole time: the client has its answer in time, and nothing starts later."""
    bench = begin(f"{part} stopped", f"through a create's {WITHIN_S} s")
    async with bench.system.second_api(create_with_picture_within_s=str(WITHIN_S)) as base:
        bench.case.fault_now()
        with stopped(bench, part):
            answer = await bench.create(as_avatar(pictures.astronaut()), new_room(), base)
            answered_s = bench.case.since_fault()
        assert isinstance(answer, httpx.Response)
        assert answer.status_code == 503, answer.text
        assert answered_s < WITHIN_S + 4
        await bench.system.running.wait_ready(part)
        await nothing_starts(bench)
        await bench.create_works(as_avatar(pictures.astronaut()))
        bench.case.steady(
            f"client: {said_by(answer)} after {answered_s:.1f} s; nothing starts later; next create works"
        )


async def test_temporal_stands_still_when_a_create_comes(begin: Begin, astronaut: str) -> None:
    """The API answers 503 in 5 s and gives the create up; when Temporal is awake again, nothing starts."""
    bench = begin("temporal stopped", "before a create")
    bench.case.fault_now()
    with stopped(bench, "temporal"):
        answer = await bench.create(astronaut, new_room())
        answered_s = bench.case.since_fault()
    assert isinstance(answer, httpx.Response)
    assert answer.status_code == 503, answer.text
    assert answered_s < 7
    await nothing_starts(bench)
    await bench.create_works(astronaut)
    bench.case.steady(f"client: {said_by(answer)} after {answered_s:.1f} s; nothing starts later; next create works")
