"""Keeps the parts of a system alive under one roof, and leaves none behind; it does not know what they are."""

import asyncio
import secrets
import signal
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from runtime.lifeline import Lifeline, new_lifeline
from runtime.supervision.kept import Announce, KeptPart, Surroundings
from runtime.supervision.part import Part

RUN = "GREENROOM_RUN"
"""The variable that marks every process of one run."""


class Supervisor:
    """Starts parts, restarts what dies, stops them in an order. An asynchronous context manager.

    Use it in the main thread: on Linux the kernel ends a child with the *thread* that started it.
    """

    def __init__(
        self, *, logs: Path, announce: Announce, run: str | None = None, inherited: Iterable[int] = ()
    ) -> None:
        """Write logs to the folder `logs`. `inherited`: descriptors (locks) that every child holds open."""
        self.run = run or secrets.token_hex(8)
        logs.mkdir(parents=True, exist_ok=True)
        lifeline = new_lifeline()
        self._lifeline: Lifeline | None = lifeline
        self._around = Surroundings(
            logs=logs,
            lifeline=lifeline.reading,
            inherited=tuple(inherited),
            marks={RUN: self.run},
            announce=announce,
        )
        self._kept: dict[str, KeptPart] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def start(self, *parts: Part) -> None:
        """Start parts together and wait until all are ready. PartFailedError names the first that cannot start.

        ValueError for a name that is kept already, until it is stopped: two of one name could not be told apart, and
        one of them would be left behind.
        """
        names = [part.name for part in parts]
        if twice := {name for name in names if name in self._kept or names.count(name) > 1}:
            raise ValueError(f"kept already: {', '.join(sorted(twice))}")
        started = []
        for part in parts:
            kept = self._kept[part.name] = KeptPart(part, self._around)
            kept.start()
            started.append(kept)
        try:
            async with asyncio.TaskGroup() as group:
                for kept in started:
                    group.create_task(kept.wait_ready())
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def wait_ready(self, name: str) -> None:
        """Wait until a part is ready, for example again after its death."""
        await self._kept[name].wait_ready()

    def pid(self, name: str) -> int | None:
        """A part's process; None while it is down. KeyError for a part that was never started."""
        return self._kept[name].pid

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Signal a part, as a fault would; its pid. It is started again with back-off."""
        return self._kept[name].kill(number)

    async def stop(self, *names: str) -> None:
        """Stop parts one after another, in this order; unknown ones are passed over."""
        for name in names:
            if kept := self._kept.pop(name, None):
                await kept.stop()

    async def aclose(self) -> None:
        """Stop what still runs, last started first, and cut the life line. Safe to repeat.

        A cancellation while it stops (a second Ctrl-C) still cuts the line, which ends everything at once.
        """
        try:
            await self.stop(*reversed(self._kept))
        finally:
            if self._lifeline is not None:
                self._lifeline.cut()
                self._lifeline = None
