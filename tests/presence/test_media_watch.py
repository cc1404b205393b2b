"""What a media process reports is counted and logged as it was; names of the log's fields are not taken from it."""

import json
import logging

import pytest

from presence.processes.media_watch import MediaWatch
from presence.processes.protocol import Frames, Join, Served, Spoke
from support.counting import Counted
from telemetry.log_lines import IDS
from telemetry.redaction import HIDDEN, Redactor

JOIN = Join(
    session_id="sess_1",
    generation=2,
    platform="livekit",
    url="ws://room",
    token="t",
    portrait_path="p",
    width=4,
    height=3,
)


def frames(shown: int, repeated: int = 0, *, watched: bool = True, starved: int = 0) -> Served:
    """A report of frames."""
    counts = Frames(shown=shown, repeated=repeated, skipped=0, rested=0, starved=starved, watched=watched)
    return Served(served_ms=0, frames=counts)


def test_frames_are_counted_by_what_came_since() -> None:
    """A second of four reports: 25 were shown, of which 5 were the one before again, so 20 a second."""
    counted, watch = Counted(), MediaWatch(7, clock=iter((10.0, 10.25, 10.5, 10.75, 11.0)).__next__)
    for shown, repeated in ((100, 0), (106, 1), (112, 2), (119, 4), (125, 5)):
        watch.saw(frames(shown, repeated, starved=1))
    assert (counted["frames_total/shown"], counted["frames_total/repeated"]) == (125, 5)
    assert (counted["frame_rate_count"], counted["frame_rate_sum"]) == pytest.approx((1, 20))
    assert counted["sound_gaps_total"] == 1


def test_a_second_that_nobody_watched_all_along_has_no_rate() -> None:
    """There are fewer frames then, and on purpose."""
    counted, watch = Counted(), MediaWatch(7, clock=iter((10.0, 10.5, 11.0, 11.5)).__next__)
    for number, watched in enumerate((True, False, True, True)):
        watch.saw(frames(100 + number, watched=watched))
    assert counted["frame_rate_count"] == 0


def test_latency_counts_where_speech_did_not_have_to_wait() -> None:
    """An utterance behind another one is counted, its latency is not: the other's length is no delay."""
    counted, watch = Counted(), MediaWatch(7)
    watch.saw(Spoke(began_ns=1, ended_ns=2, played_ms=500, interrupted=False, latency_ms=120))
    watch.saw(Spoke(began_ns=1, ended_ns=2, played_ms=0, interrupted=True))
    assert (counted["utterances_total/played"], counted["utterances_total/interrupted"]) == (1, 1)
    assert (counted["speech_latency_seconds_count"], counted["speech_latency_seconds_sum"]) == (1, 0.12)


def test_lines_are_logged_at_their_level_and_with_their_session(caplog: pytest.LogCaptureFixture) -> None:
    """The child's own level and trace stay; what native code prints is a message; secrets are taken out of both."""
    redactor, watch = Redactor(), MediaWatch(7)
    redactor.hide("hush-hush")
    watch.joining(JOIN)
    own = {
        "level": "ERROR",
        "logger": "presence.session",
        "message": "it failed",
        "error": "Traceback ...",
        "role": "x",
    }
    with caplog.at_level(logging.INFO):
        watch.heard(json.dumps(own), redactor)
        watch.heard("libwebrtc: hush-hush", redactor)
        watch.heard('{"no": "record"}', redactor)
    assert [(one.levelname, one.message) for one in caplog.records] == [
        ("ERROR", "[7 sess_1] presence.session it failed\nTraceback ..."),
        ("INFO", f"[7 sess_1] libwebrtc: {HIDDEN}"),
        ("INFO", '[7 sess_1] {"no": "record"}'),
    ]
    assert {str(getattr(one, IDS)) for one in caplog.records} == {
        str({"pid": "7", "session_id": "sess_1", "generation": "2"})
    }
