"""The avatar's end of a client's control socket: it dials the API that holds it, and is told what to say (rule 22)."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import msgspec

from domain.relay import FIRST_CREDIT, TOKEN_HEADER, FromAvatar, ToAvatar
from presence.speech.conversion import SpeechFormat
from presence.speech.segment import Segment
from presence.speech.speech_queue import SpeechQueue

log = logging.getLogger(__name__)

LOW_S: Final = 8.0
"""With less than this waiting, more sound is asked for."""
MORE: Final = 256 * 1024
"""Bytes that are asked for at a time."""
LOOK_EVERY_S: Final = 0.25
AGAIN_S: Final = 0.5
"""Between attempts to reach the API."""
DIAL_WITHIN_S: Final = 5.0


@dataclass(frozen=True, kw_only=True)
class ControlAddress:
    """Where the control socket is now."""

    url: str
    token: str
    number: int
    """Grows each time a client connects anew."""

    def __repr__(self) -> str:
        return f"ControlAddress(url={self.url!r}, number={self.number})"


class ControlLine:
    """Keeps one connection to the API that has the client's socket, and plays what comes over it.

    `lost` is called once when the client has said goodbye, or when there has been no connection for `grace_s`.
    """

    def __init__(self, queue: SpeechQueue, lost: Callable[[], None], grace_s: float) -> None:
        self._queue = queue
        self._lost = lost
        self._grace_s = grace_s
        self._address: ControlAddress | None = None
        self._moved = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    def told(self, address: ControlAddress) -> None:
        """Take note of where the socket is; dial if that is news."""
        if address == self._address:
            return
        self._address = address
        self._moved.set()
        if self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._run())

    async def aclose(self) -> None:
        """Hang up."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        silent_since = loop.time()
        async with aiohttp.ClientSession() as http:
            while self._address is not None:
                self._moved.clear()
                address = self._address
                call = _Call(self._queue)
                dialled = asyncio.ensure_future(call.serve(http, address))
                moved = asyncio.ensure_future(self._moved.wait())
                await asyncio.wait({dialled, moved}, return_when=asyncio.FIRST_COMPLETED)
                for task in (dialled, moved):
                    task.cancel()
                await asyncio.gather(dialled, moved, return_exceptions=True)
                call.hang_up()
                if call.connected:
                    silent_since = loop.time()
                if call.dismissed or loop.time() - silent_since > self._grace_s:
                    log.info("the control socket is gone%s", " for good" if call.dismissed else "")
                    self._lost()
                    return
                if not self._moved.is_set():
                    await asyncio.sleep(AGAIN_S)


class _Call:
    """One connection, from dialling to its end."""

    def __init__(self, queue: SpeechQueue) -> None:
        self._queue = queue
        self._segment: Segment | None = None
        self._owed = FIRST_CREDIT
        """Bytes that may still come."""
        self.connected = False
        self.dismissed = False
        """Has the client said goodbye?"""

    async def serve(self, http: aiohttp.ClientSession, address: ControlAddress) -> None:
        """Dial, and follow what is said until the connection ends; trouble is logged, not raised."""
        headers = {TOKEN_HEADER: address.token}
        try:
            async with asyncio.timeout(DIAL_WITHIN_S):
                socket = await http.ws_connect(address.url, headers=headers, heartbeat=10, max_msg_size=2**20)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.info("the control line does not answer: %s", type(error).__name__)
            return
        async with socket:
            self.connected = True
            crediting = asyncio.ensure_future(self._give_credit(socket))
            try:
                async for message in socket:
                    if message.type == aiohttp.WSMsgType.BINARY:
                        self._hear(message.data)
                    elif message.type == aiohttp.WSMsgType.TEXT:
                        await self._follow(socket, msgspec.json.decode(message.data))
            except (aiohttp.ClientError, OSError, msgspec.MsgspecError) as error:
                log.info("the control line broke: %s", type(error).__name__)
            finally:
                crediting.cancel()

    def hang_up(self) -> None:
        """What was under way is played as far as it came."""
        if self._segment is not None:
            self._queue.end(self._segment)
            self._segment = None

    def _hear(self, pcm: bytes) -> None:
        self._owed -= len(pcm)
        if self._segment is not None:
            self._queue.push(self._segment, pcm)

    async def _follow(self, socket: aiohttp.ClientWebSocketResponse, said: dict[str, Any]) -> None:
        match said.get("type"):
            case ToAvatar.SPEAK:
                self.hang_up()
                self._segment = self._queue.open(SpeechFormat(rate=int(said["sample_rate"])))
            case ToAvatar.SPOKEN:
                self.hang_up()
                await _say(socket, FromAvatar.QUEUED, id=said["id"])
            case ToAvatar.INTERRUPT:
                self._segment = None
                self._queue.clear()
                await _say(socket, FromAvatar.INTERRUPTED, id=said["id"])
            case ToAvatar.GOODBYE:
                self.dismissed = True

    async def _give_credit(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Ask for more sound whenever little waits: what waits at the API can still be taken back."""
        await _say(socket, FromAvatar.CREDIT, bytes=FIRST_CREDIT)
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if self._queue.buffered_s < LOW_S and self._owed < MORE:
                self._owed += MORE
                await _say(socket, FromAvatar.CREDIT, bytes=MORE)


async def _say(socket: aiohttp.ClientWebSocketResponse, type_: FromAvatar, **fields: int) -> None:
    await socket.send_str(msgspec.json.encode({"type": type_, **fields}).decode())
