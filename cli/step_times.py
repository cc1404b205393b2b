"""How long the steps of a workflow took, read off its history as an operator could."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client


@dataclass(frozen=True, kw_only=True)
class StepTime:
    """One step of a workflow."""

    name: str
    queue: str
    """Empty for a local step: it ran inside the workflow's own worker, and its length is not in the history."""
    done_ms: int
    """From the workflow's start to the step's end."""
    took_ms: int | None
    """From being asked for to its end, the wait for a worker included; None for a local step."""


async def step_times(client: Client, workflow_id: str) -> list[StepTime]:
    """The steps that are done, in the order in which they ended."""
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    return read_steps(history.events)


def read_steps(events: Iterable[HistoryEvent]) -> list[StepTime]:
    """The steps in a history's events."""
    found: list[StepTime] = []
    asked: dict[int, HistoryEvent] = {}
    began: datetime | None = None
    for event in events:
        at = event.event_time.ToDatetime()
        began = began or at
        done_ms = round((at - began).total_seconds() * 1000)
        marker = event.marker_recorded_event_attributes
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            asked[event.event_id] = event
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            request = asked[event.activity_task_completed_event_attributes.scheduled_event_id]
            what = request.activity_task_scheduled_event_attributes
            took = (at - request.event_time.ToDatetime()).total_seconds() * 1000
            queue = what.task_queue.name
            found.append(StepTime(name=what.activity_type.name, queue=queue, done_ms=done_ms, took_ms=round(took)))
        elif marker.marker_name == "core_local_activity":
            about = json.loads(marker.details["data"].payloads[0].data)
            found.append(StepTime(name=about["activity_type"], queue="", done_ms=done_ms, took_ms=None))
    return found
