"""The main of one media process: one session, told over stdin; reads no settings, and dies with its parent."""

import argparse
import asyncio
import contextlib
import ctypes
import faulthandler
import logging
import os
import signal
import sys
from collections.abc import Callable

import msgspec

from domain.failures import FailureCode, Refused
from domain.session import EndReason
from presence.processes import protocol
from presence.processes.limits import OPEN_FILES_ARGUMENT, limit_open_files
from presence.processes.protocol import Held, Join, JoinFailed, Leave, Left, Ready
from presence.session import AvatarSession, warm_up
from telemetry.log_lines import ChildLines
from telemetry.redaction import Redactor

log = logging.getLogger("worker.avatar_process")

STUCK_AFTER_S = 20
"""An event loop that stood still for so long is beyond help; the others in the room have given it up too."""
LEAVE_WITHIN_S = 2
_BEAT_S = 1.0
_PR_SET_PDEATHSIG = 1
_LINE_LIMIT = 2**20


class EventPipe:
    """The parent's pipe. It was stdout; whatever native code prints there goes to the log from now on."""

    def __init__(self) -> None:
        sys.stdout.flush()
        self._fd = os.dup(1)
        os.dup2(2, 1)

    def send(self, event: protocol.Event) -> None:
        """Write one event. A parent that is gone is noticed elsewhere."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._fd, protocol.encode_line(event))


class Watchdog:
    """Ends the process from a thread of C code, which native code that never returns cannot hold up."""

    def __init__(self) -> None:
        self._leaving = False

    async def guard(self) -> None:
        """Keep the process alive as long as its event loop runs."""
        while not self._leaving:
            faulthandler.dump_traceback_later(STUCK_AFTER_S, exit=True)
            await asyncio.sleep(_BEAT_S)

    def leave_soon(self) -> None:
        """From now on the process has 2 s, whatever it does."""
        if not self._leaving:
            self._leaving = True
            faulthandler.dump_traceback_later(LEAVE_WITHIN_S, exit=True)


class Commands:
    """The parent's commands. The end of the pipe is a Leave, and so is SIGTERM."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._queue: asyncio.Queue[protocol.Command] = asyncio.Queue()
        self._reader = asyncio.StreamReader(limit=_LINE_LIMIT)

    async def listen(self) -> None:
        """Start to read stdin and to mind signals."""
        loop = asyncio.get_running_loop()
        # Transport and task are kept: the event loop itself holds them by weak references only.
        self._pipe = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(self._reader), sys.stdin.buffer)
        loop.add_signal_handler(signal.SIGTERM, self._queue.put_nowait, Leave(reason=EndReason.TERMINATED))
        self._pump = loop.create_task(self._read())
        self._pump.add_done_callback(lambda _: self._queue.put_nowait(Leave()))

    async def next(self) -> protocol.Command:
        """The next command."""
        return await self._queue.get()

    async def next_join(self) -> Join | Leave:
        """The first Join, or a Leave before it."""
        while not isinstance(command := await self.next(), Join | Leave):
            log.warning("told to hold before a join")
        return command

    async def next_leave(self, held: Callable[[Held], None]) -> Leave:
        """The next Leave; `held` is called for what comes before, and a second join is ignored."""
        while not isinstance(command := await self.next(), Leave):
            if isinstance(command, Held):
                held(command)
            else:
                log.error("told to join twice")
        return command

    async def _read(self) -> None:
        while line := await self._reader.readline():
            try:
                command = protocol.decode_command(line)
            except msgspec.MsgspecError:
                log.error("a line that is no command (%d bytes)", len(line))  # noqa: TRY400 - its text may be secret
                continue
            if isinstance(command, Join):
                self._redactor.hide(command.token)
            self._queue.put_nowait(command)


async def serve(events: EventPipe, redactor: Redactor) -> int:
    """Wait for a join, stay until the room is lost or the parent says leave; returns the exit code."""
    watchdog = Watchdog()
    guard = asyncio.create_task(watchdog.guard())
    commands = Commands(redactor)
    await commands.listen()
    warm_up()
    events.send(Ready())
    command = await commands.next_join()
    if isinstance(command, Leave):
        return 0
    try:
        return await stay(AvatarSession(command, events.send), commands, events, watchdog)
    except Refused as refusal:
        events.send(JoinFailed(code=refusal.code, message=refusal.message))
        return 0
    finally:
        guard.cancel()


async def stay(session: AvatarSession, commands: Commands, events: EventPipe, watchdog: Watchdog) -> int:
    """Run a session until it ends by itself or is told to. Refused if it never joined."""
    running = asyncio.create_task(session.run())
    told = asyncio.create_task(commands.next_leave(session.renewed))
    await asyncio.wait({running, told}, return_when=asyncio.FIRST_COMPLETED)
    if running.done() and (error := running.exception()) is not None:
        watchdog.leave_soon()
        refusal = find_refusal(error)
        if refusal is None:
            log.error("the session failed", exc_info=error)
        await session.leave("" if refusal else "error")
        if refusal is None and not session.published:
            # A fault of ours, and said to be one: without a word the parent would take it for a process killed.
            refusal = Refused(FailureCode.INTERNAL_ERROR, "The avatar could not be shown")
        if refusal is not None:
            raise refusal
        return 1
    if running.done():
        reason, served_ms = running.result(), session.served_ms
        if reason is EndReason.ROOM_ENCRYPTED:  # the only end in which the avatar is in the room still
            watchdog.leave_soon()
            await session.leave(reason)
        events.send(Left(reason=reason, served_ms=served_ms))
        return 0
    watchdog.leave_soon()
    asked = told.result().reason
    served_ms = session.served_ms
    await session.leave(asked)
    terminated = asked == EndReason.TERMINATED
    events.send(Left(reason=EndReason.TERMINATED if terminated else protocol.LEFT, served_ms=served_ms))
    return 0


def find_refusal(error: BaseException) -> Refused | None:
    """The refusal that ended a session, which a task group may have wrapped."""
    if isinstance(error, BaseExceptionGroup):
        found = error.subgroup(Refused)
        return find_refusal(found.exceptions[0]) if found is not None else None
    return error if isinstance(error, Refused) else None


def die_with_parent() -> None:
    """Ask the kernel for a SIGTERM when the parent dies. The end of the pipe says the same; this is besides."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def main() -> None:
    """Serve one session and exit without tear-down: native threads may hang there."""
    parser = argparse.ArgumentParser(prog="worker.avatar_process")
    parser.add_argument(OPEN_FILES_ARGUMENT, type=int, default=0, help="how many files it may open; 0: as many as now")
    if most := parser.parse_args().open_files:
        limit_open_files(most)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the parent, which then says leave
    die_with_parent()
    events = EventPipe()
    redactor = Redactor()
    handler = logging.StreamHandler()
    handler.setFormatter(ChildLines(redactor))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("livekit").setLevel(logging.WARNING)
    code = 1
    try:
        code = asyncio.new_event_loop().run_until_complete(serve(events, redactor))
    except BaseException:
        log.exception("media process failed")
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
