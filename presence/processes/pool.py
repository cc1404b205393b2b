"""Media processes kept warm, so that a join does not wait for imports; imports no media library."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import Mapping
from typing import Final

from domain.environments import child_environment
from presence.processes.limits import OPEN_FILES_ARGUMENT, ProcessLimits, resident_mb
from presence.processes.media_process import MediaProcess
from telemetry.metrics import MEDIA_PROCESSES

log = logging.getLogger(__name__)

MODULE: Final = "worker.avatar_process"
REFILL_AFTER_S: Final = 1.0
"""A new spare starts only after this: its imports would slow down the join that took the last one."""
CRASH_PAUSE_S: Final = 5.0
"""Pause after a spare that died by itself, so that a broken installation does not spin."""
LOOK_S: Final = 1.0
"""How often a process's memory is looked at."""

_LINE_LIMIT: Final = 2**20


class MediaPool:
    """Starts media processes and keeps some of them waiting. The processes die with this one, however it dies."""

    def __init__(
        self,
        *,
        environ: Mapping[str, str],
        spares: int = 1,
        python: str = sys.executable,
        limits: ProcessLimits | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """`settings` are variables that every media process gets besides what it inherits."""
        self._environ = {**child_environment(environ), **(settings or {})}
        self._limits = limits or ProcessLimits()
        self._wanted = spares
        self._python = python
        self._spares: list[MediaProcess] = []
        self._processes: set[MediaProcess] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._refill: asyncio.Task[None] | None = None
        self._closed = asyncio.Event()
        MEDIA_PROCESSES.labels("serving").set_function(lambda: len(self._processes) - len(self._spares))
        MEDIA_PROCESSES.labels("spare").set_function(lambda: len(self._spares))

    @property
    def processes(self) -> frozenset[MediaProcess]:
        """Every living process, spares included."""
        return frozenset(self._processes)

    async def start(self) -> None:
        """Start the spares; returns when they were started, not when they are ready."""
        await self._fill()

    async def take(self) -> MediaProcess:
        """A process for one session: a spare that is ready if there is one. Its join waits for it if it is not."""
        if self._closed.is_set():
            raise RuntimeError("the pool is closed")
        self._spares.sort(key=lambda spare: not spare.ready)
        process = self._spares.pop(0) if self._spares else await self._spawn()
        self._refill_later(REFILL_AFTER_S)
        return process

    async def aclose(self) -> None:
        """Leave every room and wait until no process is left."""
        self._closed.set()
        if self._refill is not None:
            await self._refill
        self._spares.clear()
        await asyncio.gather(*(process.aclose() for process in self._processes))
        await asyncio.gather(*self._tasks)

    async def _fill(self) -> None:
        while len(self._spares) < self._wanted and not self._closed.is_set():
            self._spares.append(await self._spawn())

    def _refill_later(self, seconds: float) -> None:
        async def wait_and_fill() -> None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), seconds)
            await self._fill()

        if not self._closed.is_set() and (self._refill is None or self._refill.done()):
            self._refill = asyncio.create_task(wait_and_fill())

    async def _spawn(self) -> MediaProcess:
        process = MediaProcess(
            await asyncio.create_subprocess_exec(
                *(self._python, "-m", MODULE, OPEN_FILES_ARGUMENT, str(self._limits.open_files)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=self._environ,
                limit=_LINE_LIMIT,
            )
        )
        self._processes.add(process)
        task = asyncio.create_task(self._mourn(process))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return process

    async def _watch_memory(self, process: MediaProcess) -> None:
        """End a process that takes too much: its machine serves others."""
        while self._limits.memory_mb:
            await asyncio.sleep(LOOK_S)
            taken = resident_mb(process.pid)
            if taken > self._limits.memory_mb:
                session = process.session.session_id if process.session else "-"
                allowed = self._limits.memory_mb
                log.error("[%d %s] took %.0f MB of %d and was killed", process.pid, session, taken, allowed)
                process.kill()
                return

    async def _mourn(self, process: MediaProcess) -> None:
        watching = asyncio.create_task(self._watch_memory(process))
        ended = await process.wait_ended()
        watching.cancel()
        self._processes.discard(process)
        if process in self._spares:
            self._spares.remove(process)
            log.error("spare media process %d ended with exit code %d", process.pid, ended.exit_code)
            self._refill_later(CRASH_PAUSE_S)
