"""Signs of life: given while a step runs, and expected of every step that another worker could take over."""

import asyncio

import pytest
from temporalio.testing import ActivityEnvironment

from activities import beats
from activities.beats import beating
from contracts import queues
from workflows.step_options import BEAT_WITHIN, OPTIONS


async def test_a_step_beats_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once and again and again; never after its end."""
    monkeypatch.setattr(beats, "BEAT_S", 0.01)
    environment, seen = ActivityEnvironment(), []
    environment.on_heartbeat = lambda *_: seen.append(True)

    async def step() -> int:
        async with beating():
            await asyncio.sleep(0.1)
        return len(seen)

    during = await environment.run(step)
    await asyncio.sleep(0.05)
    assert during >= 3
    assert len(seen) == during


async def test_nobody_is_told_outside_of_temporal() -> None:
    """A step that a test calls by itself just runs."""
    async with beating():
        await asyncio.sleep(0)


def test_a_step_that_another_worker_could_take_is_expected_to_beat() -> None:
    """Or the death of its worker would cost the create the step's whole time-out; the bound leaves several beats."""
    shared = [options for options in OPTIONS.values() if options.queue in (queues.SESSIONS, queues.FACES)]
    assert shared
    assert all(options.heartbeat == BEAT_WITHIN for options in shared)
    assert BEAT_WITHIN.total_seconds() >= 3 * beats.BEAT_S
