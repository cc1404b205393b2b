"""One media process, seen from its parent: commands in, present state out; imports no media library."""

import asyncio
import contextlib
import logging
import signal
from asyncio.subprocess import Process
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from domain.failures import FailureCode, Refused
from domain.leases import Stop
from presence.processes import protocol
from presence.processes.media_watch import MediaWatch
from presence.processes.protocol import (
    Asks,
    Control,
    Held,
    Join,
    JoinFailed,
    Leave,
    Left,
    Published,
    Ready,
    RoomSeen,
    Served,
    Speaks,
    Spoke,
    Traced,
)
from telemetry.redaction import Redactor

log = logging.getLogger(__name__)

JOIN_WITHIN_S = 8.0
"""The join step itself has 9 s."""
LEAVE_WITHIN_S = 2.5
"""A child exits by force 2 s after it was told to leave."""
_ANSWER_S = 0.6
"""What a child needs after its connect bound to publish or to report that it could not."""
_SHORTEST_CONNECT_S = 0.5


def _nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A process that is gone. `reason` is an EndReason, `left` (told to) or `died` (no last word)."""

    reason: str
    served_ms: int
    exit_code: int


@dataclass(frozen=True, kw_only=True)
class MediaState:
    """What is known now. The version grows with each change, so that a watcher can wait for the next one."""

    version: int = 0
    room: RoomSeen | None = None
    ended: Ended | None = None


class MediaProcess:
    """A child that joins at most one room in its life. Any number of watchers may come and go."""

    def __init__(self, process: Process) -> None:
        loop = asyncio.get_running_loop()
        self._process = process
        self._redactor = Redactor()
        self._watch = MediaWatch(process.pid)
        self._ready: asyncio.Future[bool] = loop.create_future()
        self._outcome: asyncio.Future[Published | JoinFailed | None] = loop.create_future()
        self._state = MediaState()
        self._changed = asyncio.Event()
        self._served_ms = 0
        self._speaking = False
        self._left: Left | None = None
        self.session: Join | None = None
        """The join that this process was given."""
        self.on_ask: Callable[[], None] = _nothing
        """Called when the process asks whether its generation still holds."""
        self._tasks = [loop.create_task(self._read_events()), loop.create_task(self._read_log())]

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    @property
    def ready(self) -> bool:
        """True once a join would start at once."""
        return self._ready.done() and self._ready.result()

    @property
    def alive(self) -> bool:
        """False once the process is gone."""
        return self._state.ended is None

    @property
    def served_ms(self) -> int:
        """How long the avatar has been visible, as last reported."""
        return self._served_ms

    @property
    def speaking(self) -> bool:
        """Has the avatar something to say, or more to come?"""
        return self._speaking

    @property
    def publication(self) -> Published | None:
        """What was published, once it was."""
        outcome = self._outcome.result() if self._outcome.done() else None
        return outcome if isinstance(outcome, Published) else None

    @property
    def state(self) -> MediaState:
        """The present state: who is in the room, and whether the process is gone."""
        return self._state

    async def next_state(self, after: int) -> MediaState:
        """The first state whose version is beyond `after`. An ended process has no further one."""
        while self._state.version <= after:
            await self._changed.wait()
        return self._state

    async def join(self, join: Join, *, within_s: float = JOIN_WITHIN_S) -> Published:
        """Enter the room; returns once the video is acknowledged. Refused otherwise, and then the process exits."""
        if self.session is not None:
            raise RuntimeError("a media process joins one room only")
        self.session = join
        self._redactor.hide(join.token)
        self._watch.joining(join)
        try:
            return await self._join(join, asyncio.get_running_loop().time() + within_s)
        except BaseException:
            self.abandon()
            raise
        finally:
            self._watch.joined(self._outcome.result() if self._outcome.done() else None)

    async def _join(self, join: Join, deadline: float) -> Published:
        outcome: Published | JoinFailed | None = None
        try:
            async with asyncio.timeout_at(deadline):
                if await asyncio.shield(self._ready):
                    left = max(deadline - asyncio.get_running_loop().time() - _ANSWER_S, _SHORTEST_CONNECT_S)
                    bound = min(int(left * 1000), join.connect_within_ms)
                    self._send(msgspec.structs.replace(join, connect_within_ms=bound))
                    outcome = await asyncio.shield(self._outcome)
        except TimeoutError:
            raise Refused(FailureCode.INTERNAL_ERROR, "the media process did not answer in time") from None
        if isinstance(outcome, JoinFailed):
            raise Refused(_code(outcome.code), outcome.message)
        if outcome is None:
            # Nothing that the client sent: to the session its server is lost, and another create may well work.
            raise Refused(FailureCode.SERVER_LOST, "the media process ended while it joined")
        return outcome

    async def leave(self, reason: str = "", *, within_s: float = LEAVE_WITHIN_S) -> Ended:
        """Leave the room, telling it why, and wait until the process is gone; by force if it takes too long."""
        self._send(Leave(reason=reason))
        try:
            async with asyncio.timeout(within_s):
                return await self.wait_ended()
        except TimeoutError:
            log.warning("media process %d did not leave within %.1f s; killed", self.pid, within_s)
            self.kill()
            return await self.wait_ended()

    def hold(self, stop: Stop | None, control: Control | None = None) -> None:
        """Tell the avatar that its lease was renewed, when its session ends, and where its control socket is.

        Nothing before it is in the room.
        """
        if self.publication is not None and self.alive:
            if control is not None:
                self._redactor.hide(control.token)
            in_ms = None if stop is None else round(stop.in_s * 1000)
            self._send(Held(stop_in_ms=in_ms, stop_reason=stop.reason if stop else "", control=control))

    async def wait_ended(self) -> Ended:
        """How the process ended, once it has."""
        state = self._state
        while state.ended is None:
            state = await self.next_state(state.version)
        return state.ended

    def abandon(self) -> None:
        """Let go: the child sees the end of its pipe, leaves and exits by itself."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    def kill(self) -> None:
        """End the process at once. The room sees a frozen picture until it notices."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)

    async def aclose(self) -> None:
        """Leave, and wait until nothing of this process is left."""
        await self.leave()
        await asyncio.gather(*self._tasks)

    def _send(self, command: protocol.Command) -> None:
        stdin = self._process.stdin
        if stdin is not None and not stdin.is_closing():
            stdin.write(protocol.encode_line(command))

    async def _read_events(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - made with a pipe
        with contextlib.suppress(ConnectionError):
            while line := await _read_line(self._process.stdout):
                self._take(line)
        self._end(await self._process.wait())

    async def _read_log(self) -> None:
        assert self._process.stderr is not None  # noqa: S101 - made with a pipe
        with contextlib.suppress(ConnectionError):
            while line := await _read_line(self._process.stderr):
                self._watch.heard(line.decode(errors="replace").rstrip(), self._redactor)

    def _take(self, line: bytes) -> None:
        try:
            event = protocol.decode_event(line)
        except msgspec.MsgspecError:
            log.warning("media process %d wrote a line that is no event (%d bytes)", self.pid, len(line))
            return
        self._watch.saw(event)
        match event:
            case Ready() if not self._ready.done():
                self._ready.set_result(True)
            case Published() | JoinFailed() if not self._outcome.done():
                self._outcome.set_result(event)
            case RoomSeen():
                self._change(MediaState(version=self._state.version + 1, room=event))
            case Speaks():
                self._speaking = event.speaking
            case Asks():
                self.on_ask()
            case Served():
                self._served_ms = event.served_ms
            case Left():
                self._left, self._served_ms = event, event.served_ms
            case Traced() | Spoke():
                pass  # for those who watch
            case _:
                log.warning("media process %d sent %s twice", self.pid, type(event).__name__)

    def _end(self, exit_code: int) -> None:
        reason = self._left.reason if self._left else protocol.DIED
        if not self._ready.done():
            self._ready.set_result(False)
        if not self._outcome.done():
            self._outcome.set_result(None)
        ended = Ended(reason=reason, served_ms=self._served_ms, exit_code=exit_code)
        self.abandon()
        self._watch.ended(reason)
        self._change(MediaState(version=self._state.version + 1, room=self._state.room, ended=ended))

    def _change(self, state: MediaState) -> None:
        self._state = state
        self._changed.set()
        self._changed = asyncio.Event()


async def _read_line(stream: asyncio.StreamReader) -> bytes:
    while True:
        try:
            return await stream.readline()
        except ValueError:  # a line beyond the stream's limit: it is lost, the next one is not
            continue


def _code(text: str) -> FailureCode:
    return FailureCode(text) if text in FailureCode.__members__.values() else FailureCode.ROOM_JOIN_FAILED
