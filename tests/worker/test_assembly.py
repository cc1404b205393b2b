"""A role from its settings to its stop: what it refuses to run, and what ends it."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from activities.plans import PlanActivities
from database.migrations import migrate
from runtime.temporal_client import connect
from support.api_system import environment, settings_in
from worker import assembly
from worker.assembly import build_worker, run_role
from worker.registry import ROLES
from worker.renewal import ServerForgotten
from worker.roles import avatar, sessions

NOBODY = "127.0.0.1:9"
"""Nothing listens on the discard port."""


async def test_a_role_serves_until_it_is_stopped(temporal_versioned: Client, tmp_path: Path) -> None:
    """It says ready once, goes on, and returns after the stop."""
    settings = settings_in(tmp_path)
    await migrate(settings.database_address)
    stop, ready = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(run_role("sessions", settings, environment(temporal_versioned), stop, ready.set))
    await asyncio.wait_for(ready.wait(), 15)
    await asyncio.sleep(0.3)
    assert not running.done()
    stop.set()
    await asyncio.wait_for(running, 10)


async def test_a_role_that_waits_for_temporal_can_be_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without Temporal it keeps trying, says so once, is not ready, opens nothing, and still obeys a stop."""
    tries = 0

    async def counted(environ: Mapping[str, str]) -> Client:
        nonlocal tries
        tries += 1
        return await connect(environ)

    monkeypatch.setattr(assembly, "connect", counted)
    monkeypatch.setattr(assembly, "RETRY_CONNECT_S", 0.05)
    stop, said = asyncio.Event(), list[str]()
    environ = {"TEMPORAL_ADDRESS": NOBODY}
    running = asyncio.create_task(
        run_role("sessions", settings_in(tmp_path), environ, stop, lambda: said.append("ready"))
    )
    async with asyncio.timeout(20):
        while tries < 3:  # noqa: ASYNC110 - a count, which nobody signals
            await asyncio.sleep(0.02)
    stop.set()
    await asyncio.wait_for(running, 10)
    assert said == []
    assert [
        record.message.count("`greenroom doctor`") for record in caplog.records if record.name == assembly.__name__
    ] == [1]
    assert await asyncio.to_thread(lambda: list(tmp_path.iterdir())) == []


async def test_a_worker_without_all_of_its_steps_is_not_built(temporal: Client, tmp_path: Path) -> None:
    """Steps that nobody implements would wait for ever; more than the registry names is as wrong."""
    settings = settings_in(tmp_path)
    async with AsyncExitStack() as stack:
        # A queue of its own: the client has workers of other tests on the role's.
        opened = replace(await sessions.open_role(settings, {}, temporal, stack), queue="assembly")
        assert isinstance(build_worker(temporal, ROLES["sessions"], opened), Worker)
        for wrong in (opened.activities[:-1], (*opened.activities, opened.activities[0]), opened.activities[::-1]):
            with pytest.raises(TypeError):
                build_worker(temporal, ROLES["sessions"], replace(opened, activities=wrong))
    assert PlanActivities in ROLES["sessions"].activity_types()


async def test_a_worker_has_room_for_what_its_role_asks(temporal: Client, tmp_path: Path) -> None:
    """As many running workflows as the settings say, and as many steps at once as the role needs."""
    settings = msgspec.structs.replace(settings_in(tmp_path), cached_sessions=70)
    async with AsyncExitStack() as stack:
        opened = replace(await sessions.open_role(settings, {}, temporal, stack), queue="roomy", steps_at_once=500)
        made = build_worker(temporal, ROLES["sessions"], opened).config()
    assert (made["max_cached_workflows"], made["max_concurrent_activities"]) == (70, 500)


@pytest.mark.parametrize("slots", [1, 1000])
def test_an_avatar_server_can_stay_in_every_room(slots: int) -> None:
    """Each stay is a step that lasts; the SDK runs a hundred unless it is told otherwise."""
    assert avatar.steps_at_once(slots) >= slots + avatar.STEPS_BESIDE


async def test_what_runs_beside_the_worker_ends_it_by_its_failure() -> None:
    """A forgotten avatar server must go down, not serve on unrenewed."""

    async def forgotten() -> None:
        raise ServerForgotten("anew")

    with pytest.raises(ServerForgotten):
        await asyncio.wait_for(assembly._until(asyncio.Event(), forgotten), 5)


async def test_a_stop_ends_what_runs_beside_the_worker() -> None:
    """The renewal is cancelled, and waited for, before the rooms are left."""
    ended = asyncio.Event()

    async def renewing() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            ended.set()

    stop = asyncio.Event()
    running = asyncio.create_task(assembly._until(stop, renewing))
    await asyncio.sleep(0.05)
    stop.set()
    await asyncio.wait_for(running, 5)
    assert ended.is_set()
