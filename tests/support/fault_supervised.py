"""The whole real system under a supervisor in a process of its own, so that a test can kill it and start it again."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import httpx

from cli.dev import system_options
from database.engine import open_engine
from runtime.supervisor import RUN, Supervisor
from runtime.system.memory import load_memory
from runtime.system.plan import Site
from runtime.system.ports import Ports
from runtime.system.running import RunningSystem, running_system
from runtime.temporal_client import connect
from support.processes import left_after
from support.real_system import RealSystem, _livekit_of

ROOT = Path(__file__).parents[2]
READY_WITHIN_S = 60.0


@dataclass(frozen=True, kw_only=True)
class FarSupervisor:
    """What a test knows of a supervisor in another process."""

    run: str


class SupervisedSystem:
    """A data folder and the supervisor that runs on it now."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        paths = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
        self._folder = folder
        self._environ = {**environ, "PYTHONPATH": paths}
        self._process: subprocess.Popen[str] | None = None
        self.run = ""

    async def start(self) -> None:
        """Start it on the folder, and wait until it is ready."""
        command = [sys.executable, "-m", "support.fault_supervised", str(self._folder)]
        self._process = subprocess.Popen(  # noqa: ASYNC220 - it returns at once
            command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=self._environ
        )
        assert self._process.stdout is not None
        waiting = asyncio.to_thread(self._process.stdout.readline)
        line = await asyncio.wait_for(waiting, READY_WITHIN_S)
        assert line, "the system did not start"
        self.run = json.loads(line)[RUN]

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Signal the supervisor alone and wait until it is gone; its parts have to notice by themselves."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.communicate(timeout=60)

    def gone(self, within_s: float) -> bool:
        """Has every process of the last run ended within so many seconds?"""
        return left_after(self.run, within_s) == []

    @asynccontextmanager
    async def reached(self) -> AsyncIterator[RealSystem]:
        """The ways in to the system that runs now."""
        memory = load_memory(self._folder)
        site = Site(
            data_dir=self._folder,
            ports=Ports(**memory.ports),
            memory=memory,
            environ={},
            temporal=Path("temporal"),
            livekit=Path("livekit-server"),
        )
        running = RunningSystem(site=site, supervisor=cast("Supervisor", FarSupervisor(run=self.run)))
        async with AsyncExitStack() as stack:
            engine = open_engine(f"sqlite+aiosqlite:///{self._folder / 'greenroom.db'}")
            stack.push_async_callback(engine.dispose)
            http = await stack.enter_async_context(httpx.AsyncClient(timeout=70))
            temporal = await connect({"TEMPORAL_ADDRESS": running.temporal_address, "TEMPORAL_NAMESPACE": "default"})
            livekit = _livekit_of(running)
            yield RealSystem(running=running, engine=engine, http=http, temporal=temporal, livekit=livekit, said=[])


async def main(folder: Path, environ: dict[str, Any]) -> None:
    """Run until SIGTERM; print the mark of the run as one JSON line when everything is ready."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    options = system_options(environ, data_dir=folder, free_ports=True, asked={})
    async with running_system(replace(options, announce=lambda *_: None)) as system:
        print(json.dumps({RUN: system.run}), flush=True)  # noqa: T201 - read by the test
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), dict(os.environ)))
