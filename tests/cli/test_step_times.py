"""Reading a history's steps: which took how long, and on whose queue."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

from cli.step_times import StepTime, read_steps

HISTORIES = Path(__file__).parents[1] / "replay" / "histories"
BEGAN = datetime(2026, 1, 2, 3, 4, 59, tzinfo=UTC)


def event(number: int, kind: "EventType.ValueType", after_ms: int) -> HistoryEvent:
    """An event, so long after the first."""
    made = HistoryEvent(event_id=number, event_type=kind)
    made.event_time.FromDatetime(BEGAN + timedelta(milliseconds=after_ms))
    return made


def scheduled(number: int, after_ms: int, name: str, queue: str) -> HistoryEvent:
    """A remote step that is asked for."""
    made = event(number, EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED, after_ms)
    made.activity_task_scheduled_event_attributes.activity_type.name = name
    made.activity_task_scheduled_event_attributes.task_queue.name = queue
    return made


def completed(number: int, after_ms: int, asked: int) -> HistoryEvent:
    """The end of the step that event `asked` asked for."""
    made = event(number, EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED, after_ms)
    made.activity_task_completed_event_attributes.scheduled_event_id = asked
    return made


def local(number: int, after_ms: int, name: str) -> HistoryEvent:
    """A local step that is done."""
    made = event(number, EventType.EVENT_TYPE_MARKER_RECORDED, after_ms)
    made.marker_recorded_event_attributes.marker_name = "core_local_activity"
    payload = made.marker_recorded_event_attributes.details["data"].payloads.add()
    payload.data = json.dumps({"activity_type": name}).encode()
    return made


def test_steps_are_timed_from_asked_to_done() -> None:
    """Steps stand in the order in which they ended; each counts from its own start, across a full second."""
    events = [
        event(1, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED, 0),
        local(2, 12, "calculate_expiry"),
        scheduled(3, 900, "join_room", "avatar-01"),
        scheduled(4, 950, "discard_staged", "sessions"),
        completed(5, 1100, 4),
        completed(6, 1650, 3),
    ]
    assert read_steps(events) == [
        StepTime(name="calculate_expiry", queue="", done_ms=12, took_ms=None),
        StepTime(name="discard_staged", queue="sessions", done_ms=1100, took_ms=150),
        StepTime(name="join_room", queue="avatar-01", done_ms=1650, took_ms=750),
    ]


def test_a_step_that_runs_or_another_marker_is_no_step() -> None:
    """What has not ended yet is left out, and so is a marker that no local step made; no events are no steps."""
    other = event(3, EventType.EVENT_TYPE_MARKER_RECORDED, 5)
    other.marker_recorded_event_attributes.marker_name = "core_patch"
    assert read_steps([scheduled(1, 0, "stay_in_room", "avatar-01"), other]) == []
    assert read_steps([]) == []


@pytest.mark.parametrize(
    ("history", "first", "last"),
    [("normal", "calculate_expiry", "stay_in_room"), ("refused_face", "calculate_expiry", "discard_staged")],
)
def test_real_histories_are_read(history: str, first: str, last: str) -> None:
    """A real session's steps begin with the expiry; their times never run backwards and none lasts longer than all."""
    text = (HISTORIES / f"{history}.json").read_text()
    steps = read_steps(WorkflowHistory.from_json(history, text).events)
    assert (steps[0].name, steps[-1].name) == (first, last)
    assert all(0 <= (step.took_ms or 0) <= step.done_ms for step in steps)
    assert {step.queue for step in steps if step.name == "decode_image"} == {"faces"}
