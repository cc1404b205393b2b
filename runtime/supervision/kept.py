"""One part kept alive: started, watched, started again with back-off, ended with everything below it."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runtime.lifeline import VARIABLE
from runtime.supervision.output import PartOutput
from runtime.supervision.part import Part, PartFailedError
from runtime.supervision.readiness import POLL_S, Says

GIVEN_UP_AFTER = 3
"""So many deaths before it was ever ready, and the start has failed."""

LEAVE_WITHIN_S = 3.0
"""How long the children of a dead part have to leave by themselves before they are killed."""

Announce = Callable[[str, str], None]
"""Takes a part's name and one sentence."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What all parts of one supervisor share."""

    logs: Path
    """Folder of the log files."""

    lifeline: int
    """The descriptor that every child watches."""

    inherited: tuple[int, ...] = ()
    """Further descriptors that stay open as long as any child lives (locks)."""

    marks: Mapping[str, str] = field(default_factory=dict)
    """Variables that every child gets besides its own."""

    announce: Announce
    """Told of deaths, restarts and errors."""


class KeptPart:
    """A part and the task that keeps it alive. Of one event loop, in the main thread (PDEATHSIG is per thread)."""

    def __init__(self, part: Part, around: Surroundings) -> None:
        """Nothing starts before `start`."""
        self.part = part
        self._around = around
        self._output = PartOutput(around.logs / f"{part.name}.log", on_error=self._tell)
        self._process: asyncio.subprocess.Process | None = None
        self._ready = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._deaths = 0
        self._was_ready = False
        self._sweeps: list[asyncio.Task[None]] = []

    @property
    def pid(self) -> int | None:
        """The present process; None while it is down."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process else None

    def start(self) -> None:
        """Start the process and keep it alive from now on."""
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.part.name}")

    async def wait_ready(self) -> None:
        """Wait until it is ready (again). PartFailedError if it never became so."""
        assert self._keeper is not None  # noqa: S101
        ready = asyncio.create_task(self._ready.wait())
        try:
            await asyncio.wait((ready, self._keeper), return_when=asyncio.FIRST_COMPLETED)
            if not ready.done():
                await self._keeper  # raises what it failed of
                raise PartFailedError(f"{self.part.name} was stopped")
        finally:
            ready.cancel()

    def kill(self, number: signal.Signals = signal.SIGKILL) -> int:
        """Signal the present process; its pid. ProcessLookupError while it is down."""
        pid = self.pid
        if pid is None:
            raise ProcessLookupError(f"{self.part.name} is not running")
        self._ready.clear()
        if self.part.foreign:
            os.killpg(pid, number)  # the binary, not only its launcher
        else:
            os.kill(pid, number)
        return pid

    async def stop(self) -> None:
        """Ask it to end, kill what does not, with all that it started; safe to repeat."""
        self._stopping.set()
        if self._keeper is None:
            return
        while not self._keeper.done():
            if self._process is not None:
                await self._end(self._process)
            await asyncio.wait((self._keeper,), timeout=POLL_S)
        await asyncio.gather(*self._sweeps)
        self._keeper.exception()  # a failed start was reported where it was awaited
        self._output.close()

    async def _keep(self) -> None:
        while not self._stopping.is_set():
            began = asyncio.get_running_loop().time()
            try:
                process = await self._spawn()
            except OSError as error:
                await self._mourn(f"cannot be started: {error.strerror}", 0)
                continue
            await self._live(process)
            self._ready.clear()
            self._sweeps.append(asyncio.create_task(_sweep(process.pid, 0 if self.part.foreign else LEAVE_WITHIN_S)))
            self._output.read_rest()
            if not self._stopping.is_set():
                await self._mourn(_how_it_ended(process), asyncio.get_running_loop().time() - began)

    async def _live(self, process: asyncio.subprocess.Process) -> None:
        """From start to death, with the readiness in between."""
        death = asyncio.create_task(process.wait())
        checking = asyncio.create_task(self._check())
        try:
            await asyncio.wait((death, checking), return_when=asyncio.FIRST_COMPLETED)
            if checking.done() and not death.done():
                if checking.result():
                    self._was_ready = True
                    self._ready.set()
                    self._output.note("ready")
                else:
                    self._tell(f"not ready after {self.part.ready_within_s:.0f} s; ending it")
                    await self._end(process)
            await death
        finally:
            checking.cancel()
            death.cancel()

    async def _check(self) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.part.ready_within_s):
                while not await self.part.ready.seen(self._output.said):  # noqa: ASYNC110 - others are asked
                    await asyncio.sleep(POLL_S)
                return True
        return False

    async def _mourn(self, how: str, lived: float) -> None:
        """Count the death, say it, and wait before the next life."""
        if self._was_ready and lived > self.part.back_off.calm_s:
            self._deaths = 0
        self._deaths += 1
        last = "\n".join(self._output.last)
        if not self._was_ready and self._deaths >= GIVEN_UP_AFTER:
            raise PartFailedError(f"{self.part.name} does not start: it {how}\n{last}".rstrip())
        wait = self.part.back_off.after(self._deaths)
        self._output.note(f"it {how}")
        self._tell(f"{how} after {lived:.1f} s; starting it again in {wait:.1f} s")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), wait)

    async def _spawn(self) -> asyncio.subprocess.Process:
        ready = self.part.ready
        around = self._around
        environ = {**self.part.environ, **around.marks, VARIABLE: str(around.lifeline), "PYTHONUNBUFFERED": "1"}
        with self._output.attached(ready.text if isinstance(ready, Says) else "") as writing:
            self._process = await asyncio.create_subprocess_exec(
                *self.part.command, env=environ, pass_fds=(around.lifeline, *around.inherited),
                stdin=asyncio.subprocess.DEVNULL, stdout=writing, stderr=writing,
                # A session of its own: Ctrl-C in the terminal must reach the supervisor alone, or no order is kept.
                start_new_session=True,
            )  # fmt: skip
        self._output.note(f"started as process {self._process.pid}")
        return self._process

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is not None:
            return  # its number may belong to somebody else by now
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(self.part.stop_signal)
        try:
            await asyncio.wait_for(process.wait(), self.part.stop_within_s)
        except TimeoutError:
            self._output.note(f"still there after {self.part.stop_within_s:.0f} s; killed")
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _tell(self, text: str) -> None:
        self._around.announce(self.part.name, text)


async def _sweep(group: int, within_s: float) -> None:
    """End what a dead part left behind; `within_s` is the time it has to leave by itself (a room, for example).

    Looking often is what makes this safe: a group's number is not given away while anything is in the group.
    """
    deadline = asyncio.get_running_loop().time() + within_s
    with contextlib.suppress(ProcessLookupError, PermissionError):
        while asyncio.get_running_loop().time() < deadline:
            os.killpg(group, 0)
            await asyncio.sleep(POLL_S)
        os.killpg(group, signal.SIGKILL)


def _how_it_ended(process: asyncio.subprocess.Process) -> str:
    code = process.returncode or 0
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with code {code}"
