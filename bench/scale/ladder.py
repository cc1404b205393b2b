"""What one session asks of Temporal, counted in a committed history; it reads the file and asks no server."""

import base64
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HISTORIES = Path(__file__).parents[2] / "tests" / "replay" / "histories"
USUAL = "participants_left"
"""By avatar id, somebody comes, and goes."""
LONG = "an_hour"
SLICE_STEP = "reserve_minutes"

BILLED = (
    "WORKFLOW_EXECUTION_STARTED",
    "WORKFLOW_EXECUTION_UPDATE_ACCEPTED",
    "WORKFLOW_EXECUTION_SIGNALED",
    "ACTIVITY_TASK_SCHEDULED",
    "TIMER_STARTED",
    "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES",
)
"""What Temporal Cloud bills as an action; besides, all local steps of a workflow task are one, and each heartbeat."""


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """One session, without its heartbeats."""

    events: int
    workflow_tasks: int
    local_steps: int
    """Each a transaction of the database."""
    remote_steps: int
    timers: int
    signals: int
    actions: int
    slice_steps: int
    """Of the local steps, those that reserve another ten minutes."""


def ladder_of(name: str = USUAL, folder: Path = HISTORIES) -> Ladder:
    """The counts of one committed history."""
    events: list[dict[str, Any]] = json.loads((folder / f"{name}.json").read_text())["events"]
    kinds = Counter(str(one["eventType"]).removeprefix("EVENT_TYPE_") for one in events)
    local = [one for one in events if _marker(one).get("markerName") == "core_local_activity"]
    tasks_with_local = {_marker(one)["workflowTaskCompletedEventId"] for one in local}
    return Ladder(
        events=len(events),
        workflow_tasks=kinds["WORKFLOW_TASK_COMPLETED"],
        local_steps=len(local),
        remote_steps=kinds["ACTIVITY_TASK_SCHEDULED"],
        timers=kinds["TIMER_STARTED"],
        signals=kinds["WORKFLOW_EXECUTION_SIGNALED"],
        actions=sum(kinds[kind] for kind in BILLED) + len(tasks_with_local),
        slice_steps=sum(_local_name(one) == SLICE_STEP for one in local),
    )


def _marker(event: dict[str, Any]) -> dict[str, Any]:
    marker: dict[str, Any] = event.get("markerRecordedEventAttributes", {})
    return marker


def _local_name(event: dict[str, Any]) -> str:
    payload = _marker(event)["details"]["data"]["payloads"][0]["data"]
    return str(json.loads(base64.b64decode(payload))["activity_type"])
