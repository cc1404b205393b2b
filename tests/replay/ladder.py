"""The order of commands that a history shows: one line a command, readable in a review."""

import json
from collections.abc import Iterator

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

KINDS = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: "step",
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED: "cancel step",
    EventType.EVENT_TYPE_TIMER_STARTED: "timer",
    EventType.EVENT_TYPE_TIMER_CANCELED: "timer off",
    EventType.EVENT_TYPE_TIMER_FIRED: "timer fired",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED: "update",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED: "update answered",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED: "signal",
    EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES: "search attributes",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED: "cancel requested",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: "completed",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: "cancelled",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: "failed",
}


def ladder(history: WorkflowHistory) -> list[str]:
    """The commands and the outside events, in order."""
    return [line for event in history.events for line in _lines(event)]


def _lines(event: HistoryEvent) -> Iterator[str]:
    marker = event.marker_recorded_event_attributes
    if marker.marker_name == "core_local_activity":
        yield f"local step {json.loads(marker.details['data'].payloads[0].data)['activity_type']}"
    elif marker.marker_name:
        yield f"marker {marker.marker_name}"
    elif event.event_type in KINDS:
        step = event.activity_task_scheduled_event_attributes
        update = event.workflow_execution_update_accepted_event_attributes
        signal = event.workflow_execution_signaled_event_attributes
        names = (step.activity_type.name, step.task_queue.name, update.accepted_request.input.name, signal.signal_name)
        yield " ".join([KINDS[event.event_type], *filter(None, names)])
