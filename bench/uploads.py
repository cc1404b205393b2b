"""Uploading a face: the pipeline's CPU beside the bare detection, the request's time beside the bare workflow."""

import time
from collections.abc import Callable
from typing import Any

import msgspec
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory

from bench.creates import mix_of
from bench.floors import temporal as floor
from bench.floors.processes import child
from bench.report import Row, row
from bench.site import Site
from cli.library.builtin import astronaut
from contracts.upload_workflow import upload_workflow_id

PIPELINE = ("decode_image", "align_face")


async def measure_pipeline(rounds: int, tell: Callable[[str], None]) -> list[Row]:
    """The CPU row, in a process of its own, and where that CPU goes."""
    values: list[float] = []
    floors: list[float] = []
    stages: dict[str, list[float]] = {}
    async with child("bench.floors.faces", str(astronaut())) as process:
        for number in range(-2, rounds):
            tell(f"faces: round {max(number + 1, 0)} of {rounds}")
            process.tell({})
            answer = await process.answer()
            if number < 0:
                continue
            values.append(answer["pipeline_ms"])
            floors.append(answer["detection_ms"])
            for name, took in answer["stages"].items():
                stages.setdefault(name, []).append(took)
    name = "CPU of bare two-pass detection"
    tell("faces: " + ", ".join(f"{stage} {sorted(took)[len(took) // 2]:.1f} ms" for stage, took in stages.items()))
    return [row("upload_face", values, floors, unit="ms of CPU", reference_name=name, ratio_goal=2.5)]


async def measure_uploads(site: Site, rounds: int, tell: Callable[[str], None]) -> list[Row]:
    """The request's row: what the API, Temporal and the stores add to the pipeline."""
    values: list[float] = []
    floors: list[float] = []
    mix, picture = "", astronaut().read_bytes()
    async with (
        child("bench.floors.temporal", site.running.temporal_address, "workflows"),
        child("bench.floors.temporal", site.running.temporal_address, "remote"),
    ):
        for number in range(-1, rounds):
            tell(f"uploads: round {number + 1} of {rounds}")
            began = time.perf_counter()
            answer = await site.http.post("/v1/avatars/upload-face", files={"file": picture})
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
    return [row("upload_api", values, floors, unit="ms", reference_name=name, ratio_goal=1.3)]


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
