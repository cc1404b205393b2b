"""Speech of a LiveKit agent: its byte streams in, its interruptions, and reports back; takes none from others."""

import asyncio
import logging
from typing import Final

from livekit import rtc
from livekit.rtc import RpcInvocationData

from presence.rooms.livekit_agent import AgentWatch
from presence.rooms.livekit_reports import PlaybackReports
from presence.speech.conversion import SpeechFormat, read_format
from presence.speech.segment import Segment
from presence.speech.speech_queue import SpeechQueue

log = logging.getLogger(__name__)

AUDIO_TOPIC: Final = "lk.audio_stream"
CLEAR_BUFFER: Final = "lk.clear_buffer"

QUIET_S: Final = 0.25
"""After a clear, what follows on the same stream without such a pause belongs to what was cleared."""
SETTLE_S: Final = 0.05
"""After a clear nothing of the stream is new so soon: it was on its way."""
OVERLAP_S: Final = 0.2
"""A stream is given up when another one is open and nothing came on it for so long: its end was lost."""
KNOWN_WITHIN_S: Final = 4.0
"""A server tells of a silent participant up to 3 s late; a stream of somebody unknown waits so long."""
_LOOK_EVERY_S: Final = 0.05


class _Reported:
    """The listener of a stream's segment: an agent counts one end for each stream, whatever is said on it."""

    def __init__(self, reports: PlaybackReports, tenure: int) -> None:
        self._reports = reports
        self._tenure = tenure

    def on_started(self) -> None:
        """Tell the agent."""
        self._reports.started(self._tenure)

    def on_finished(self, position_s: float, *, interrupted: bool) -> None:
        """Tell the agent."""
        self._reports.finished(self._tenure, position_s, interrupted=interrupted)


class SpeechStream:
    """One byte stream, which may carry one segment and end, or never end and carry whatever is said in a session.

    Both kinds look alike until the end comes. After a clear the rest of what was cleared must not be played, and what
    is said next must: so chunks are left out until the stream has been quiet for `QUIET_S`. Quiet that lay before the
    clear counts too; an agent that had sent everything in advance loses nothing of its next words. What is said after
    a clear on the same stream is played, but not reported: the sender counts one end a stream, and has got it.
    """

    def __init__(self, queue: SpeechQueue, speech_format: SpeechFormat, listener: _Reported, now: float) -> None:
        self._queue = queue
        self._format = speech_format
        self._segment: Segment = queue.open(speech_format, listener)
        self._cleared_at: float | None = None
        self.fed_at = now
        """When the last chunk came."""

    def feed(self, chunk: bytes, now: float) -> None:
        """Take a chunk in, unless it belongs to what was cleared."""
        quiet_until, self.fed_at = self.fed_at + QUIET_S, now
        if self._cleared_at is not None:
            if now < max(quiet_until, self._cleared_at + SETTLE_S):
                return
            self._cleared_at = None
            self._segment = self._queue.open(self._format)
        self._queue.push(self._segment, chunk)

    def clear(self, now: float) -> None:
        """Everything so far was cleared."""
        self._cleared_at = now

    def end(self) -> None:
        """Nothing more comes."""
        self._queue.end(self._segment)

    def drop(self) -> None:
        """The sender is gone: forget what is left of it."""
        self._queue.drop(self._segment)


class LiveKitSpeech:
    """Makes segments of an agent's streams. Made before the room is connected, so that no stream is missed."""

    def __init__(self, room: rtc.Room, queue: SpeechQueue) -> None:
        self._loop = asyncio.get_running_loop()
        self._room = room
        self._queue = queue
        self._open: dict[SpeechStream, rtc.ByteStreamReader] = {}
        self._broken: SpeechStream | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._agent = AgentWatch(room, left=self._on_agent_left, listening=self._on_listening)
        self._reports = PlaybackReports(room, self._agent)
        room.register_byte_stream_handler(AUDIO_TOPIC, self._on_stream)

    def enter(self) -> None:
        """Answer interruptions; called between connect and publish, since agents speak as soon as they see a track."""
        self._room.local_participant.register_rpc_method(CLEAR_BUFFER, self._on_clear)
        self._agent.look()

    def close(self) -> None:
        """Take nothing more in, and report nothing more."""
        self._reports.close()
        for task in self._tasks:
            task.cancel()

    def _on_stream(self, reader: rtc.ByteStreamReader, identity: str, waited_s: float = 0.0) -> None:
        if self._agent.may_be(identity) and waited_s < KNOWN_WITHIN_S:
            self._loop.call_later(_LOOK_EVERY_S, self._on_stream, reader, identity, waited_s + _LOOK_EVERY_S)
        elif identity and identity == self._agent.identity:
            self._take(reader)
        else:
            log.warning("left out a stream of speech of somebody who is not the avatar's agent")
            reader.close()

    def _take(self, reader: rtc.ByteStreamReader) -> None:
        for stream in list(self._open):
            self._supersede(stream, self._loop.time())
        listener = _Reported(self._reports, self._agent.tenure)
        stream = SpeechStream(self._queue, read_format(reader.info.attributes), listener, self._loop.time())
        self._open[stream] = reader
        task = self._loop.create_task(self._read(stream, reader))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read(self, stream: SpeechStream, reader: rtc.ByteStreamReader) -> None:
        try:
            async for chunk in reader:
                stream.feed(chunk, self._loop.time())
                await asyncio.sleep(0)  # an iteration over what has come already lets nobody else run
        except rtc.StreamError as error:
            log.warning("a stream of speech broke off: %s", error.description)
            self._broken = stream  # which may be the first that is heard of an agent's leaving
        finally:
            self._open.pop(stream, None)
            reader.close()
            stream.end()

    def _supersede(self, stream: SpeechStream, since: float) -> None:
        """Close a stream that another one follows, once what was on its way has come."""
        reader, quiet_until = self._open.get(stream), max(stream.fed_at, since) + OVERLAP_S
        if reader is not None and self._loop.time() >= quiet_until:
            log.warning("a stream of speech has no end; the next one ends it")
            reader.close()
        elif reader is not None:
            self._loop.call_at(quiet_until, self._supersede, stream, since)

    def _on_clear(self, call: RpcInvocationData) -> str:
        if not call.caller_identity or call.caller_identity != self._agent.identity:
            return "reject"
        self._queue.clear()
        for stream in self._open:
            stream.clear(self._loop.time())
        return "ok"

    def _on_listening(self, listening: bool) -> None:
        self._queue.listening = listening

    def _on_agent_left(self) -> None:
        for stream, reader in list(self._open.items()):
            stream.drop()
            reader.close()
        if self._broken is not None:
            self._broken.drop()
