"""A session's start: its overhead, its join, and both together; each round measures the floors beside it."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory

from bench.floors import temporal as floor
from bench.floors.processes import child
from bench.report import Goal, Row, row
from bench.site import Site
from contracts.queues import SESSIONS
from contracts.steps import JoinRoomResult, join_room

FRAME_WITHIN_S = 20


@dataclass(kw_only=True)
class Rounds:
    """Milliseconds, a number a round."""

    overhead: list[float] = field(default_factory=list)
    join: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    same_mix: list[float] = field(default_factory=list)
    with_join: list[float] = field(default_factory=list)
    empty: list[float] = field(default_factory=list)
    bare_join: list[float] = field(default_factory=list)


async def measure_creates(site: Site, rounds: int, tell: Callable[[str], None]) -> list[Row]:
    """The five rows of a create by a stored avatar's id."""
    seen, mix = Rounds(), ""
    async with (
        child("bench.floors.temporal", site.running.temporal_address, "workflows"),
        child("bench.floors.temporal", site.running.temporal_address, "remote"),
    ):
        for number in range(-1, rounds):
            tell(f"creates: round {number + 1} of {rounds}")
            mix = await _round(site, seen if number >= 0 else Rounds(), mix)
    same = f"update-with-start, steps {mix}"
    both = [a + b for a, b in zip(seen.same_mix, seen.bare_join, strict=True)]
    return [
        row("create_by_id", seen.overhead, seen.same_mix, unit="ms", reference_name=same, goal=Goal(ratio=1.3)),
        row(
            "create_by_id_beside_join",
            seen.overhead,
            seen.with_join,
            unit="ms",
            reference_name="the same, whose remote step is a bare join; less that join",
            goal=Goal(ratio=1.3),
        ),
        row(
            "create_overhead",
            seen.overhead,
            seen.empty,
            unit="ms",
            reference_name="empty update-with-start",
            goal=Goal(ratio=3.5),
        ),
        row(
            "join_first_frame",
            seen.join,
            seen.bare_join,
            unit="ms",
            reference_name="warm join that publishes a still",
            goal=Goal(ratio=1.15),
        ),
        row(
            "post_to_frame",
            seen.whole,
            both,
            unit="ms",
            reference_name="both floors together",
            goal=Goal(ratio=1.25),
        ),
    ]


async def _round(site: Site, seen: Rounds, mix: str) -> str:
    """One create and each floor once, the machine being quiet before each; the create's mix of steps."""
    async with child("bench.floors.publisher") as publisher:
        history = await _create(site, seen)
        await site.quiet()
        mix = mix or mix_of(history)
        for steps, numbers in ((mix, seen.same_mix), ("", seen.empty)):
            began = time.perf_counter()
            await floor.update_with_start(site.temporal, steps)
            numbers.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(0.1)
        async with site.watched_room() as (room, viewer):
            began = time.perf_counter()
            join_ms = await floor.update_with_start(site.temporal, mix.replace("R", "J"), site.publisher(room))
            seen.with_join.append((time.perf_counter() - began) * 1000 - join_ms)
            await viewer.wait_full_frame(within_s=FRAME_WITHIN_S)
            await asyncio.sleep(1)
        async with site.watched_room() as (room, viewer):
            began = time.monotonic()
            publisher.tell(site.publisher(room))
            await viewer.wait_full_frame(within_s=FRAME_WITHIN_S)
            seen.bare_join.append((viewer.first_full_at - began) * 1000)
            await publisher.answer()
    return mix


async def _create(site: Site, seen: Rounds) -> WorkflowHistory:
    """One create on a quiet machine, and its history."""
    await site.quiet()
    async with site.watched_room() as (room, viewer):
        began = time.time()
        session_id = await site.create(room)
        answered = time.time()
        await viewer.wait_full_frame(within_s=FRAME_WITHIN_S)
        shown = wall_clock(viewer.first_full_at)
        history = await site.temporal.get_workflow_handle(session_id).fetch_history()
        await site.end(session_id)
    joined_at, publish_ms = read_join(history)
    seen.overhead.append((answered - began) * 1000 - publish_ms)
    seen.join.append((shown - joined_at) * 1000)
    seen.whole.append((shown - began) * 1000)
    return history


async def creates_elsewhere(site: Site, rounds: int, tell: Callable[[str], None]) -> list[float]:
    """The overhead of creates by id alone (ms), without a floor: for a system on another database."""
    seen = Rounds()
    for number in range(-1, rounds):
        tell(f"creates on PostgreSQL: round {number + 1} of {rounds}")
        await _create(site, seen if number >= 0 else Rounds())
    return seen.overhead


def wall_clock(monotonic: float) -> float:
    """A moment of the monotonic clock on the clock that Temporal's events use."""
    return time.time() - time.monotonic() + monotonic


def read_join(history: WorkflowHistory) -> tuple[float, float]:
    """When the join step was started on its server (epoch seconds), and the LiveKit join inside it (ms)."""
    started: dict[int, float] = {}
    wanted = 0
    for event in history.events:
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            asked = event.activity_task_scheduled_event_attributes
            wanted = event.event_id if asked.activity_type.name == join_room.name else wanted
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            scheduled = event.activity_task_started_event_attributes.scheduled_event_id
            started[scheduled] = event.event_time.ToNanoseconds() / 1e9
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            done = event.activity_task_completed_event_attributes
            if done.scheduled_event_id == wanted:
                result = decode(done.result.payloads[0].data)
                return started[wanted], result.publish_ms
    raise LookupError("the history shows no join")


def decode(payload: bytes) -> JoinRoomResult:
    """The join's result."""
    import msgspec  # noqa: PLC0415

    return msgspec.json.decode(payload, type=JoinRoomResult)


def mix_of(history: WorkflowHistory) -> str:
    """The steps up to the create's answer, as the floor is told them."""
    mix = ""
    for event in history.events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED:
            return mix
        if event.marker_recorded_event_attributes.marker_name == "core_local_activity":
            mix += "L"
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            mix += "S" if _queue_of(history, event) == SESSIONS else "R"
    return mix


def _queue_of(history: WorkflowHistory, event: object) -> str:
    scheduled = event.activity_task_completed_event_attributes.scheduled_event_id  # type: ignore[attr-defined]
    return str(history.events[scheduled - 1].activity_task_scheduled_event_attributes.task_queue.name)
