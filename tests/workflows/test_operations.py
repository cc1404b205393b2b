"""Operators' workflows on a real dev server, with stand-ins for their steps."""

import asyncio
from contextlib import suppress

import pytest
from temporalio.client import Client
from temporalio.worker import Worker
from ulid import ULID

from cli.operators.following import Order, begun, followed, listed, stopped
from contracts import queues
from contracts.operations import BATCH, DrainServers, EndSessions
from domain.failures import FailureCode, Refused
from domain.selections import Selection
from support.eventually import eventually
from support.stand_in_steps import Script, StandInSteps
from worker.registry import ROLES
from worker.sandbox import SANDBOX
from workflows.drain_servers import DrainServersWorkflow
from workflows.end_sessions import EndSessionsWorkflow


def ended(stand_ins: StandInSteps, number: int) -> tuple[Order, Script]:
    """An order to end so many sessions of an account of its own, and the script of its steps."""
    command = EndSessions(selection=Selection(account_id=f"acct_{ULID()}"))
    chosen = [f"sess_{one:03}" for one in range(number)]
    return Order(run=EndSessionsWorkflow.run, command=command), stand_ins.script(command.workflow_id, chosen=chosen)


async def test_sessions_end_in_batches_and_the_follower_hears_of_each(
    temporal: Client, stand_ins: StandInSteps
) -> None:
    """All of several pages; what cannot be ended is tried again, and told."""
    order, script = ended(stand_ins, 450)
    script.stubborn = {"sess_017"}
    told: list[str] = []
    name = await begun(temporal, order)
    outcome = await followed(temporal, name, told.append)
    assert sorted(script.dealt_with) == script.chosen
    assert (outcome.progress.done, outcome.progress.left, outcome.progress.troubles) == (450, 0, 1)
    assert all(len(one.session_ids) <= BATCH for name, one in script.calls if name == "end_selected")
    assert told[-1] == "sess_017 is done"
    described = await temporal.get_workflow_handle(name).describe()
    assert await described.static_summary() == order.command.title


async def test_twice_is_once(temporal: Client, stand_ins: StandInSteps) -> None:
    """Whoever asks again follows what runs, and hears what was told before; afterwards it can be asked anew."""
    order, script = ended(stand_ins, 30)
    gate = asyncio.Event()

    async def slow(value: object) -> object:
        await gate.wait()
        return await stand_ins._end_selected(script, value)  # type: ignore[arg-type]

    script.handlers["end_selected"] = slow
    first, second = list[str](), list[str]()
    name = await begun(temporal, order)
    following = asyncio.create_task(followed(temporal, name, first.append))
    assert await begun(temporal, order) == name
    again = asyncio.create_task(followed(temporal, name, second.append))
    gate.set()
    await asyncio.gather(following, again)
    assert sorted(script.dealt_with) == script.chosen
    assert first == second
    assert len(first) == 30
    assert (await followed(temporal, await begun(temporal, order), first.append)).progress.done == 0


async def test_it_goes_on_without_its_follower_and_after_its_worker(temporal_deserted: Client) -> None:
    """The follower leaves, the worker stops in the middle, another comes: no session is left and none is done twice."""
    client, stand_ins = temporal_deserted, StandInSteps()
    order, script = ended(stand_ins, 60)
    at_work, stop = asyncio.Event(), asyncio.Event()

    async def once(value: object) -> object:
        if len(script.dealt_with) >= BATCH and not stop.is_set():
            at_work.set()
            await asyncio.sleep(60)
        return await stand_ins._end_selected(script, value)  # type: ignore[arg-type]

    script.handlers["end_selected"] = once
    async with sessions_worker(client, stand_ins):
        name = await begun(client, order)
        following = asyncio.create_task(followed(client, name, lambda _: None))
        await at_work.wait()
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
    stop.set()
    async with sessions_worker(client, stand_ins):
        outcome = await followed(client, name, lambda _: None)
    assert sorted(script.dealt_with) == script.chosen
    assert outcome.progress.done == 60


def sessions_worker(client: Client, stand_ins: StandInSteps) -> Worker:
    """A worker that is gone with its block, whatever it was doing."""
    return Worker(
        client,
        task_queue=queues.SESSIONS,
        workflows=ROLES["sessions"].workflow_types(),
        activities=stand_ins.activities(),
        workflow_runner=SANDBOX,
    )


async def test_a_drain_that_waits_looks_again_until_nothing_is_left(temporal: Client, stand_ins: StandInSteps) -> None:
    """A session that found no server tries again; without waiting there is one round, and it says what is left."""
    for wait, left in ((False, 1), (True, 0)):
        command = DrainServers(boots=(f"boot-{ULID()}",), wait=wait)
        script = stand_ins.script(command.workflow_id, chosen=["sess_1", "sess_2"], stubborn={"sess_2"})
        name = await begun(temporal, Order(run=DrainServersWorkflow.run, command=command))
        outcome = await followed(temporal, name, lambda _: None)
        assert (outcome.progress.left, script.dealt_with[0]) == (left, "sess_1")


async def test_an_operation_is_listed_and_stopped(temporal: Client, stand_ins: StandInSteps) -> None:
    """A drain that would wait for ever; whoever follows is told. What is not there is neither followed nor stopped."""
    command = DrainServers(boots=(f"boot-{ULID()}",), wait=True, move=False)
    script = stand_ins.script(command.workflow_id, chosen=["sess_1"])
    name = await begun(temporal, Order(run=DrainServersWorkflow.run, command=command))
    following = asyncio.create_task(followed(temporal, name, lambda _: None))
    await eventually(lambda: "take_out" in script.names)
    while (name, "running") not in [row[:2] for row in await listed(temporal)]:  # noqa: ASYNC110 - Temporal tells nobody
        await asyncio.sleep(0.1)
    await stopped(temporal, name)
    with pytest.raises(Refused, match="was stopped"):
        await following
    for asked in (followed(temporal, "drain-nobody", lambda _: None), stopped(temporal, "drain-nobody")):
        with pytest.raises(Refused) as refused:
            await asked
        assert refused.value.code == FailureCode.NOT_FOUND
