"""Speech that a client's control socket brings, once there is one; loads nothing for it before."""

import asyncio
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
        self._line: ControlLine | None = None
        self._lost = asyncio.Event()

    def told(self, control: Control) -> None:
        """Take note of where the socket is now; said with each renewal."""
        from presence.speech.control_line import ControlAddress, ControlLine  # noqa: PLC0415 - aiohttp takes 200 ms

        if self._line is None:
            self._line = ControlLine(self._queue, self._lost.set, control.grace_ms / 1000)
        self._line.told(ControlAddress(url=control.url, token=control.token, number=control.number))

    async def wait_lost(self) -> EndReason:
        """Return once a socket that was open is gone for good."""
        await self._lost.wait()
        return EndReason.CONTROL_CONNECTION_LOST

    async def aclose(self) -> None:
        """Hang up."""
        if self._line is not None:
            await self._line.aclose()
