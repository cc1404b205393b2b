"""Counts and traces what one media process reports; it has no part in what happens."""

import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from presence.processes.protocol import Event, Frames, Join, JoinFailed, Published, Served, Spoke, Traced
from telemetry import metrics, spans
from telemetry.log_lines import IDS
from telemetry.redaction import Redactor

log = logging.getLogger(__name__)

PID = "process.pid"
"""The media process itself; the span is made by its parent."""
KINDS = ("shown", "repeated", "skipped", "rested")
RATED_EVERY_S = 0.9
"""At least so long is counted for a frame rate, however often the process reports."""


class MediaWatch:
    """What is told of one process, by its parent and by itself."""

    def __init__(self, pid: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._pid = pid
        self._clock = clock
        """Seconds, from any beginning."""
        self._began = 0.0
        self._span: spans.Span | None = None
        self._frames: Frames | None = None
        self._rated: tuple[float, Frames] | None = None
        """Since when a frame rate is being counted, and from what; nothing of it while nobody watches."""
        self._ids = {"pid": str(pid)}

    def joining(self, join: Join) -> None:
        """The order to join goes out now; what is traced belongs to the step that gave it."""
        self._began = self._clock()
        self._ids |= {"session_id": join.session_id, "generation": str(join.generation)}
        if (tracing := spans.active()) is not None:
            facts: dict[str, spans.Fact] = {"session_id": join.session_id, "generation": join.generation}
            self._span = tracing.begin(spans.JOIN, {**facts, "platform": join.platform, PID: self._pid})
            self._ids["trace_id"] = self._span.trace_id

    def joined(self, outcome: Published | JoinFailed | None) -> None:
        """How the join came out; None where nobody said."""
        if isinstance(outcome, Published):
            metrics.FIRST_FRAME_SECONDS.observe(self._clock() - self._began)
        if self._span is not None:
            if not isinstance(outcome, Published):
                self._span.fail(outcome.code if outcome else "no answer")
            self._span.end()

    def saw(self, event: Event) -> None:
        """Take an event of the process."""
        match event:
            case Served(frames=Frames() as frames):
                self._count(frames)
            case Spoke():
                self._spoke(event)
            case Traced():
                self._trace(event.name, event.began_ns, event.ended_ns)
            case _:
                pass

    def ended(self, reason: str) -> None:
        """The process is gone."""
        metrics.MEDIA_ENDS.labels(reason).inc()

    def heard(self, line: str, redactor: Redactor) -> None:
        """Log what the process wrote: lines of its own log at their level, and what native code prints."""
        said = _record(redactor.clean(line))
        level = logging.getLevelNamesMapping().get(str(said.get("level")), logging.INFO)
        session = self._ids.get("session_id", "-")
        error = f"\n{said['error']}" if said.get("error") else ""
        words = (str(said[part]) for part in ("logger", "message") if said.get(part))
        log.log(level, "[%d %s] %s%s", self._pid, session, " ".join(words), error, extra={IDS: self._ids})

    def _count(self, frames: Frames) -> None:
        before = self._frames
        self._frames = frames
        for kind in KINDS:
            metrics.FRAMES.labels(kind).inc(max(getattr(frames, kind) - (getattr(before, kind) if before else 0), 0))
        metrics.SOUND_GAPS.inc(max(frames.starved - (before.starved if before else 0), 0))
        self._rate(frames, self._clock())

    def _rate(self, frames: Frames, now: float) -> None:
        """Observe the rate of each second in which the picture was watched all along."""
        if self._rated is None or not frames.watched:
            self._rated = (now, frames) if frames.watched else None
            return
        since, first = self._rated
        if now - since >= RATED_EVERY_S:
            fresh = (frames.shown - frames.repeated) - (first.shown - first.repeated)
            metrics.FRAME_RATE.observe(fresh / (now - since))
            self._rated = (now, frames)

    def _spoke(self, event: Spoke) -> None:
        metrics.UTTERANCES.labels("interrupted" if event.interrupted else "played").inc()
        if event.latency_ms is not None:
            metrics.SPEECH_SECONDS.observe(event.latency_ms / 1000)
        latency = {} if event.latency_ms is None else {"latency_ms": event.latency_ms}
        facts = {"played_ms": event.played_ms, "interrupted": event.interrupted, **latency}
        self._trace(spans.SPEAK, event.began_ns, event.ended_ns, facts)

    def _trace(self, name: str, began_ns: int, ended_ns: int, facts: Mapping[str, spans.Fact] | None = None) -> None:
        tracing = spans.active()
        if tracing is not None and self._span is not None and name in spans.OURS:
            told = {**(facts or {}), PID: self._pid}
            tracing.begin(name, told, within=self._span, began_ns=began_ns).end(ended_ns)


def _record(line: str) -> dict[str, Any]:
    """A line of the child's log; what is none is a message."""
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    return found if isinstance(found, dict) and "message" in found else {"message": line}
