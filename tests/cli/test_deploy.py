"""`greenroom deploy`: versions on a real Temporal, by the commands that an operator types."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner, Result
from temporalio.client import Client

from cli import deploying
from cli.deploy import deploy_group
from cli.doctor import FaultError
from cli.doctor_looks import look_at_sessions_worker
from contracts.session_workflow import EndSession
from runtime import deployments
from runtime.settings import Settings
from support.api_system import environment
from support.session_commands import command, create, new_session_id
from support.versioned import VersionedWorkers, versioned_workers
from workflows.create_session import CreateSessionWorkflow

pytestmark = pytest.mark.usefixtures("quick_looks")


@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks come quickly."""
    monkeypatch.setattr(deploying, "LOOK_EVERY_S", 0.2)


@pytest.fixture
async def workers(temporal_versioned: Client, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[VersionedWorkers]:
    """A deployment that the commands find by their settings."""
    async with versioned_workers(temporal_versioned) as workers:
        for name, value in environment(temporal_versioned).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("GREENROOM_DEPLOYMENT", workers.name)
        monkeypatch.setenv("GREENROOM_BUILD_ID", "A")
        yield workers


async def typed(*arguments: str) -> Result:
    """What a command says; it has a loop of its own."""
    return await asyncio.to_thread(CliRunner().invoke, deploy_group, [*arguments])


async def test_an_upgrade_by_commands(workers: VersionedWorkers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two versions side by side: shown, ramped, promoted, drained; each refusal is a sentence and an exit code."""
    nothing = await typed("status")
    assert (nothing.exit_code, nothing.stderr) == (1, "greenroom: no sessions worker was ever there\n")
    async with workers.looked_after("A"), workers.worker("B"):
        session_id = new_session_id()
        workers.steps.script(session_id)
        _, running = await create(workers.client, command(session_id))
        async with asyncio.timeout(20):
            # Until Temporal has seen all that B asks for.
            while (await typed("ramp", "B", "25")).exit_code:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        shown = await typed("status")
        assert shown.exit_code == 0
        assert "B  ramping 25 %  0 sessions  1 workers" in shown.stdout
        assert "A  current 75 %  1 sessions  1 workers  (this code)" in shown.stdout
        assert (await typed("drain", "A")).exit_code == 2
        assert (await typed("promote", "B")).exit_code == 0
        left = await typed("drain", "A")
        assert (left.exit_code, left.stdout) == (3, "1 sessions are left on it.\n")
        waiting = asyncio.create_task(typed("drain", "A", "--wait"))
        await asyncio.sleep(0.5)
        assert not waiting.done()
        await running.execute_update(CreateSessionWorkflow.end, EndSession())
        drained = await asyncio.wait_for(waiting, 15)
        assert drained.exit_code == 0
        assert drained.stdout.endswith("Nothing runs on it: its workers can be stopped.\n")
        rows = [json.loads(line) for line in (await typed("status", "--json")).stdout.splitlines()]
        assert [(row["build_id"], row["percent"], row["sessions"], row["mine"]) for row in rows] == [
            ("B", 100, 0, False),
            ("A", 0, 0, True),
        ]
        unknown = await typed("promote", "C")
        assert (unknown.exit_code, "Temporal knows no version C" in unknown.stderr) == (2, True)
        settings, environ = Settings(deployment=workers.name), environment(workers.client)
        assert (await look_at_sessions_worker(settings, environ)).endswith("new sessions begin on version B")
        monkeypatch.setattr(deployments, "POLL_RENEWED_WITHIN", timedelta(0))
        with pytest.raises(FaultError, match="new sessions wait: version B has no worker"):
            await look_at_sessions_worker(settings, environ)
        lost = await typed("promote", "A")
        assert (lost.exit_code, "no worker of version A is there" in lost.stderr) == (2, True)


def test_what_waits_is_told() -> None:
    """A version without workers that has sessions, or takes new ones, is trouble; a drained one is none."""
    shown = deploying.stranded([version("B", "current", 100, 2, 0), version("A", "draining", 0, 3, 0)])
    assert shown == [
        "new sessions wait: version B has no worker",
        "2 sessions wait: version B has no worker",
        "3 sessions wait: version A has no worker",
    ]
    assert deploying.stranded([version("B", "current", 100, 2, 1), version("A", "drained", 0, 0, 0)]) == []
    assert deploying.stranded([version("B", "inactive", 0, 0, 1)]) == ["no version takes new sessions"]


def version(build_id: str, state: str, percent: float, sessions: int, workers: int) -> deploying.Version:
    """A version."""
    since = datetime(2026, 11, 1, tzinfo=UTC)
    return deploying.Version(
        build_id=build_id, state=state, percent=percent, since=since, sessions=sessions, workers=workers
    )
