"""New worker code while sessions run, by the commands of docs/upgrades.md: each session ends on its own code."""

import asyncio
import json
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import main
from runtime.build import source_build_id
from runtime.system.plan import own_environ, worker_part
from support.fault_bench import Bench
from support.real_system import Live, RealSystem
from support.versioned import builds_of

Begin = Callable[[str, str], Bench]

ROOT = Path(__file__).parents[2]
ROOMS = (
    "activities",
    "adapters",
    "api",
    "cli",
    "contracts",
    "database",
    "domain",
    "presence",
    "runtime",
    "worker",
    "workflows",
)
LADDER = "        expiry = await self._do(\n            steps.calculate_expiry,"
"""Where a session's workflow begins its work."""
OLD = "dev"
NEW_PART = "sessions-new"


@dataclass(frozen=True, kw_only=True)
class Upgrade:
    """A source tree of the next version, beside the system that runs."""

    system: RealSystem
    tree: Path

    @property
    def build(self) -> str:
        """The version of that tree."""
        return source_build_id(self.tree)

    def environ(self, *, new: bool) -> dict[str, str]:
        """The environment of a process of the old code, or of the new."""
        environ = own_environ(self.system.running.site)
        if new:
            # The safe path: else the folder that the supervisor runs in, with the old code, would come first.
            environ |= {"PYTHONPATH": str(self.tree), "PYTHONSAFEPATH": "1"}
            environ |= {"GREENROOM_BUILD_ID": "", "GREENROOM_PROMOTE": "hand"}
        return environ

    def words(self, line: str) -> list[str]:
        """A command line of the documents, without the program's name."""
        program, *words = line.replace("NEW", self.build).replace("OLD", OLD).split()
        assert program == "greenroom"
        return words

    async def typed(self, line: str) -> tuple[int, str]:
        """The exit code of a command of this code, and what it printed; it has a loop of its own."""
        result = await asyncio.to_thread(CliRunner().invoke, main, self.words(line))
        return result.exit_code, result.stdout

    async def apart(self, line: str, *, new: bool = False) -> int:
        """The exit code of a command in a process of its own, of this code or of the new."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli.main", *self.words(line)),
            cwd=self.tree if new else ROOT,
            env={**os.environ, **self.environ(new=new)},
        )
        try:
            return await process.wait()
        except asyncio.CancelledError:
            process.kill()
            raise

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        """A sessions worker of the new code."""
        supervisor, site = self.system.running.supervisor, self.system.running.site
        part = replace(worker_part(site, "sessions"), name=NEW_PART)
        environ = {**part.environ, **self.environ(new=True), "GREENROOM_METRICS_PORT": "0"}
        await supervisor.start(replace(part, environ=environ))
        try:
            yield
        finally:
            await supervisor.stop(NEW_PART)

    async def standing(self) -> dict[str, tuple[str, int]]:
        """State and sessions of each version, as the command shows them."""
        _, said = await self.typed("greenroom deploy status --json")
        rows = [json.loads(line) for line in said.splitlines()]
        return {row["build_id"]: (row["state"], row["sessions"]) for row in rows}

    async def builds(self, session_id: str) -> set[str]:
        """The versions that a session ran on, by its history."""
        return builds_of(await self.system.temporal.get_workflow_handle(session_id).fetch_history())


@pytest.fixture
def upgrade(real_system: RealSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Upgrade:
    """The next version: its sessions wait for a timer before their first step."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    source = tmp_path / "workflows" / "create_session.py"
    assert source.read_text().count(LADDER) == 1
    source.write_text(source.read_text().replace(LADDER, f"        await workflow.sleep(0.01)\n{LADDER}"))
    upgrade = Upgrade(system=real_system, tree=tmp_path)
    for name, value in upgrade.environ(new=False).items():
        if name.startswith(("GREENROOM_", "TEMPORAL_")):
            monkeypatch.setenv(name, value)
    return upgrade


def lines_of(heading: str) -> list[str]:
    """The commands of the first block below a heading of docs/upgrades.md."""
    text = (ROOT / "docs" / "upgrades.md").read_text().partition(f"## {heading}\n")[2]
    block = re.search(r"```sh\n(.*?)```", text, re.DOTALL)
    assert block is not None
    return [line.partition("#")[0].strip() for line in block[1].splitlines()]


async def test_an_upgrade_under_sessions(
    real_system: RealSystem, astronaut: str, begin: Begin, upgrade: Upgrade
) -> None:
    """Begun on the old code, ended on it; new ones on the new; the old drains; and back. No picture is touched."""
    bench = begin("sessions workers upgraded", "mid-session")
    replay, *_ = lines_of("Would running sessions go on without all this?")
    status, migrate, work, status_again, ramp, promote, drain = lines_of("Step by step")
    async with bench.live(astronaut) as old:
        assert (await upgrade.typed(f"{replay} --running"))[0] == 0
        assert await upgrade.apart(f"{replay} --running", new=True) == 1, "two versions that need no versions"
        assert (await upgrade.typed(status))[0] == 0
        assert await upgrade.apart(migrate, new=True) == 0
        assert work == "greenroom worker sessions"
        async with upgrade.worker():
            assert (await upgrade.typed(status_again))[0] == 0
            assert (await upgrade.standing())[upgrade.build] == ("inactive", 0)
            await taken(upgrade, ramp)
            assert (await upgrade.standing())[upgrade.build][0] == "ramping"
            bench.case.fault_now()
            await taken(upgrade, promote)
            async with bench.live(astronaut) as new:
                await both_go_on(bench, upgrade, old, new, drain)
                await taken(upgrade, promote.replace("NEW", "OLD"))
                bench.case.steady("each on the version it began on, the older drained, and back")
                bench.case.fault_now()
                await bench.untouched(new)
                assert (await bench.end_at_last(new.session_id))["end_reason"] == "ended_by_request"
        assert await upgrade.builds(old.session_id) == {OLD}
        assert await upgrade.builds(new.session_id) == {upgrade.build}
        began = (await real_system.temporal.get_workflow_handle(new.session_id).fetch_history()).events
        assert any(event.HasField("timer_started_event_attributes") for event in began[:6]), "the new code's own timer"
    await bench.whole()


async def both_go_on(bench: Bench, upgrade: Upgrade, old: Live, new: Live, drain: str) -> None:
    """The older session ends on its version, and the wait for that version's drain ends then, and not before."""
    draining = asyncio.create_task(upgrade.apart(drain))
    try:
        await bench.untouched(old)
        await bench.untouched(new)
        standing = await upgrade.standing()
        assert standing[upgrade.build][0] == "current"
        assert standing[OLD] == ("draining", 1)
        assert not draining.done()
        bench.case.fault_now()
        assert (await bench.end_at_last(old.session_id))["end_reason"] == "ended_by_request"
        assert await asyncio.wait_for(draining, 60) == 0
    finally:
        draining.cancel()
    assert (await upgrade.standing())[OLD][1] == 0


async def taken(upgrade: Upgrade, line: str) -> None:
    """A command that Temporal takes once it has seen the new worker ask for workflows and for steps."""
    async with asyncio.timeout(30):
        while (await upgrade.typed(line))[0]:
            pass
