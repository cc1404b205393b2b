"""`greenroom replay`: what ran last on a real Temporal, on this code; a different ladder is found and told."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from temporalio.client import Client
from temporalio.worker import Worker

from cli.replay import replay_command
from contracts.session_workflow import EndSession
from support.api_system import environment
from support.other_ladder import OtherLadder
from support.session_commands import command, create, new_session_id
from support.stand_in_steps import StandInSteps
from support.temporal import elsewhere
from worker.sandbox import SANDBOX
from workflows.create_session import CreateSessionWorkflow

HISTORIES = Path(__file__).parents[1] / "replay" / "histories"


async def typed(*arguments: str) -> Result:
    """What the command says; it has a loop of its own."""
    return await asyncio.to_thread(CliRunner().invoke, replay_command, [*arguments])


async def test_the_last_of_a_live_namespace(
    temporal: Client, stand_ins: StandInSteps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that ended and one that runs replay; one of another ladder does not: exit code 1, with the command."""
    for name, value in environment(temporal).items():
        monkeypatch.setenv(name, value)
    done, runs = new_session_id(), new_session_id()
    for session_id in (done, runs):
        stand_ins.script(session_id)
        _, running = await create(temporal, command(session_id))
        if session_id == done:
            await running.execute_update(CreateSessionWorkflow.end, EndSession())
            await running.result()
    await listed(temporal, done, runs)
    good = await typed("--last", "2", "--workflow-type", "CreateSessionWorkflow")
    assert good.exit_code == 0, good.output
    assert f"1/2  {runs}  CreateSessionWorkflow  ok" in good.stdout
    assert good.stdout.endswith("2 of 2 replay on this code.\n")
    await running.execute_update(CreateSessionWorkflow.end, EndSession())


async def listed(client: Client, *workflow_ids: str) -> None:
    """Wait until Temporal lists them."""
    names = ", ".join(f"'{one}'" for one in workflow_ids)
    async with asyncio.timeout(15):
        while (await client.count_workflows(f"WorkflowId IN ({names})")).count < len(workflow_ids):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_another_ladder_is_a_breach(temporal: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session of code that went another way: exit code 1, and the first command that differs."""
    client = await elsewhere(temporal, "deserted")
    for name, value in environment(client).items():
        monkeypatch.setenv(name, value)
    session_id = new_session_id()
    async with Worker(client, task_queue="other", workflows=[OtherLadder], workflow_runner=SANDBOX):
        strange = await client.start_workflow(
            "CreateSessionWorkflow", command(session_id), id=session_id, task_queue="other"
        )
        await strange.execute_update("end_other")
        await strange.result()
    await listed(client, session_id)
    bad = await typed("--last", "1", "--workflow-type", "CreateSessionWorkflow", "--json")
    assert bad.exit_code == 1, bad.output
    row = json.loads(bad.stdout)
    assert row["workflow_id"] == session_id
    assert row["breach"].startswith("Nondeterminism error: No command scheduled for event HistoryEvent(id: 5, "), row
    none = await typed("--workflow-type", "NoSuchWorkflow")
    assert (none.exit_code, none.stderr) == (2, "greenroom: there was nothing to replay\n")


async def test_a_folder_of_histories(tmp_path: Path) -> None:
    """For CI: committed histories replay without a server; one of them with two steps swapped is found among them."""
    good = (HISTORIES / "refused_face.json").read_text()
    (tmp_path / "good.json").write_text(good)
    swapped = good.replace('"align_face"', '"SWAP"').replace('"decode_image"', '"align_face"')
    (tmp_path / "swapped.json").write_text(swapped.replace('"SWAP"', '"decode_image"'))
    said = await typed("--folder", str(tmp_path))
    assert said.exit_code == 1, said.output
    assert "1/2  good  CreateSessionWorkflow  ok" in said.stdout
    assert "'align_face' does not match activity type of activity command 'decode_image'" in said.stdout
    assert said.stdout.endswith("1 of 2 replay on this code.\n")
    (tmp_path / "broken.json").write_text("{}")
    assert (await typed("--folder", str(tmp_path))).exit_code == 2
