"""Versions of sessions workers on a real Temporal: who takes new sessions, and that none is left without a worker."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Literal

import pytest
from temporalio.client import Client
from temporalio.common import AutoUpgradeVersioningOverride

from contracts import queues
from contracts.session_workflow import EndSession, SessionOutcome
from contracts.webhook_workflow import DeliverWebhook, delivery_workflow_id
from runtime import deployments
from support.eventually import eventually
from support.other_ladder import OtherLadder
from support.session_commands import Running, command, create, new_session_id
from support.versioned import VersionedWorkers, builds_of, versioned_workers
from worker import versions
from workflows.create_session import CreateSessionWorkflow
from workflows.deliver_webhook import DeliverWebhookWorkflow


@pytest.fixture
async def workers(temporal_versioned: Client) -> AsyncIterator[VersionedWorkers]:
    """A deployment that nobody knows yet."""
    async with versioned_workers(temporal_versioned) as workers:
        yield workers


async def begun(workers: VersionedWorkers) -> Running:
    """A session that runs."""
    session_id = new_session_id()
    workers.steps.script(session_id)
    _, running = await create(workers.client, command(session_id))
    return running


async def ended(running: Running) -> SessionOutcome:
    """The end of a session, on request."""
    await running.execute_update(CreateSessionWorkflow.end, EndSession())
    return await running.result()


async def states(workers: VersionedWorkers) -> dict[str, str]:
    """The state of each version."""
    found = await workers.deployment.standing()
    assert found is not None
    return found.states


async def test_a_session_ends_on_the_version_it_began_on(workers: VersionedWorkers) -> None:
    """The first worker is current by itself, a newer version takes what is new, and both go on."""
    async with workers.looked_after("A"):
        assert await states(workers) == {"A": "current"}
        old = await begun(workers)
        async with workers.looked_after("B"):
            new = await begun(workers)
            assert (await states(workers))["B"] == "current"
            await ended(old)
            await ended(new)
    assert builds_of(await old.fetch_history()) == {"A"}
    assert builds_of(await new.fetch_history()) == {"B"}


@pytest.mark.parametrize(
    ("state", "current", "promote", "next_one"),
    [
        ("inactive", "", "hand", True),
        ("inactive", "there", "start", True),
        ("inactive", "there", "hand", False),
        ("inactive", "gone", "hand", False),
        ("draining", "there", "start", False),
        ("drained", "there", "start", False),
        ("drained", "gone", "start", True),
        ("ramping", "there", "start", False),
    ],
)
async def test_who_promotes_itself(
    temporal_versioned: Client, state: str, current: str, promote: Literal["start", "hand"], next_one: bool
) -> None:
    """A new version, unless an operator does it by hand; one that was current before only where nobody is left."""
    deployment = deployments.Deployment(temporal_versioned, "nobody")
    keeper = versions.VersionKeeper(deployment, temporal_versioned, "mine", promote)
    found = deployments.Standing(current=current, ramping="", percent=0, states={"mine": state, current: "current"})
    assert keeper._is_next(found, {"gone"}) is next_one


async def test_a_webhook_under_way_keeps_no_version_from_draining(workers: VersionedWorkers) -> None:
    """Its starter wants it to go on with whatever is current, for it may try for a day."""
    failing = asyncio.Event()

    async def refused(_: object) -> None:
        failing.set()
        raise RuntimeError("the receiver is away")

    order = DeliverWebhook(
        event_id="evt_1",
        endpoint_id=new_session_id(),
        round=1,
        type="session.ended",
        first_pause=timedelta(seconds=0.2),
    )
    workflow_id = delivery_workflow_id(order.event_id, order.endpoint_id, order.round)
    script = workers.steps.script(workflow_id)
    script.handlers["deliver_webhook"] = refused
    async with workers.looked_after("A"):
        delivery = await workers.client.start_workflow(
            DeliverWebhookWorkflow.run,
            order,
            id=workflow_id,
            task_queue=queues.SESSIONS,
            versioning_override=AutoUpgradeVersioningOverride(),
        )
        await asyncio.wait_for(failing.wait(), 10)
        async with workers.worker("B"):
            await workers.promote("B")
            script.handlers.clear()
            assert (await asyncio.wait_for(delivery.result(), 15)).outcome == "delivered"
    assert "B" in builds_of(await delivery.fetch_history())


async def test_no_session_waits_for_a_version_without_workers(
    workers: VersionedWorkers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What its workers left goes on on the current version, if that replays it; else it waits, and the log says so."""
    monkeypatch.setattr(deployments, "POLL_RENEWED_WITHIN", timedelta(seconds=1))
    monkeypatch.setattr(versions, "GONE_AFTER_S", 1.0)
    monkeypatch.setattr(versions, "LOOK_EVERY_S", 0.3)
    async with workers.looked_after("A"):
        left = await begun(workers)
    async with workers.worker("other", [OtherLadder]):
        await workers.promote("other")
        strange_id = new_session_id()
        strange = await workers.client.start_workflow(
            "CreateSessionWorkflow", command(strange_id), id=strange_id, task_queue=queues.SESSIONS
        )
        while not builds_of(await strange.fetch_history()):  # noqa: ASYNC110 - Temporal tells nobody
            await asyncio.sleep(0.05)
    began = time.monotonic()
    async with workers.looked_after("B"):
        assert (await asyncio.wait_for(ended(left), 30)).reason == "ended_by_request"
        await eventually(lambda: f"{strange_id} needs a worker of version other" in caplog.text, within_s=20)
        assert await workers.deployment.sessions("other") == 1
    assert builds_of(await left.fetch_history()) == {"A", "B"}
    assert time.monotonic() - began < 30
    await strange.terminate()
