"""Speech that a client's control socket brings, once there is one; loads nothing for it before."""

import asyncio
from types import ModuleType
from typing import TYPE_CHECKING

from domain.session import EndReason
from presence.processes.protocol import Control
from presence.speech.speech_queue import SpeechQueue

if TYPE_CHECKING:
    from presence.speech.control_line import ControlLine


class ControlledSpeech:
    """The avatar's end of the control socket. Most sessions never have one."""

    def __init__(self, queue: SpeechQueue) -> None:
        self._queue = queue
        self._control: Control | None = None
        self._line: ControlLine | None = None
        self._opening: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()

    def told(self, control: Control) -> None:
        """Take note of where the socket is now; said with each renewal."""
        self._control = control
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._open(control.grace_ms / 1000))
        elif self._line is not None:
            self._pass_on(self._line, control)

    async def wait_lost(self) -> EndReason:
        """Return once a socket that was open is gone for good."""
        await self._lost.wait()
        return EndReason.CONTROL_CONNECTION_LOST

    async def aclose(self) -> None:
        """Hang up."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        if self._line is not None:
            await self._line.aclose()

    async def _open(self, grace_s: float) -> None:
        # aiohttp takes 200 ms, on a busy machine more than a second: in this thread the picture would stand still.
        module = await asyncio.to_thread(_load)
        self._line = module.ControlLine(self._queue, self._lost.set, grace_s)
        assert self._control is not None  # noqa: S101
        self._pass_on(self._line, self._control)

    def _pass_on(self, line: "ControlLine", control: Control) -> None:
        address = _load().ControlAddress(url=control.url, token=control.token, number=control.number)
        line.told(address)


def _load() -> ModuleType:
    from presence.speech import control_line  # noqa: PLC0415 - only for sessions that need it

    return control_line
