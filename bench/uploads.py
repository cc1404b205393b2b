"""Uploading a face: the request's time, less the pipeline's, beside the bare workflow."""

import os
import time
from collections.abc import Callable
from typing import Any

import msgspec
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory

from bench.creates import mix_of
from bench.floors import temporal as floor
from bench.floors.processes import child
from bench.report import Goal, Row, row
from bench.site import Site
from cli.library.builtin import astronaut
from contracts.upload_workflow import upload_workflow_id

PIPELINE = ("decode_image", "align_face")


async def measure_uploads(site: Site, rounds: int, tell: Callable[[str], None]) -> list[Row]:
    """The request's row: what the API, Temporal and the stores add to the pipeline."""
    values: list[float] = []
    floors: list[float] = []
    # What was sent before is recognised: each round needs bytes of its own, and what follows a picture is not read.
    mix, picture = "", astronaut().read_bytes()
    async with (
        child("bench.floors.temporal", site.running.temporal_address, "workflows"),
        child("bench.floors.temporal", site.running.temporal_address, "remote"),
    ):
        for number in range(-1, rounds):
            tell(f"uploads: round {number + 1} of {rounds}")
            began = time.perf_counter()
            answer = await site.http.post("/v1/avatars/upload-face", files={"file": picture + os.urandom(8)})
            took = (time.perf_counter() - began) * 1000
            answer.raise_for_status()
            handle = site.temporal.get_workflow_handle(upload_workflow_id(answer.json()["avatar_id"]))
            await handle.result()
            history = await handle.fetch_history()
            mix = mix or mix_of(history)
            began = time.perf_counter()
            await floor.update_with_start(site.temporal, mix)
            bare = (time.perf_counter() - began) * 1000
            if number >= 0:
                values.append(took - pipeline_ms(history))
                floors.append(bare)
    name = f"update-with-start, steps {mix}"
    return [row("upload_api", values, floors, unit="ms", reference_name=name, goal=Goal(ratio=1.3))]


def pipeline_ms(history: WorkflowHistory) -> float:
    """What decoding, finding, judging and aligning took, as the steps up to the answer say themselves."""
    total = 0.0
    names: dict[int, str] = {}
    for event in history.events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED:
            break
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            names[event.event_id] = event.activity_task_scheduled_event_attributes.activity_type.name
        done = event.activity_task_completed_event_attributes
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            result: dict[str, Any] = msgspec.json.decode(done.result.payloads[0].data)
            total += sum(result.get("stage_ms", {}).values()) if names[done.scheduled_event_id] in PIPELINE else 0
    return total
