"""The bench itself: its sums, what it reads off histories, and that its floors do what they say."""

import json
import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console
from temporalio.client import Client, WorkflowHistory

from bench.creates import mix_of, read_join
from bench.floors import temporal as floor
from bench.floors.processes import child
from bench.report import Goal, Row, line, percentile, row, table
from bench.site import cpu_of
from bench.uploads import pipeline_ms

HISTORIES = Path(__file__).parent / "replay" / "histories"


def a_row(**changes: float) -> Row:
    """A row whose value is twice its floor."""
    goal = Goal(**(changes or {"ratio": 1.5}))
    return row("a_thing", [4.0, 2.0, 3.0], [1.5, 1.0, 2.0], unit="ms", reference_name="the least", goal=goal)


def test_a_row_holds_medians_and_their_ratio() -> None:
    """The goal is held against the ratio, or against the value where that is what counts."""
    made = a_row()
    assert (made.value, made.reference, made.ratio, made.met) == (3.0, 1.5, 2.0, False)
    assert a_row(ratio=2.0).met
    assert a_row(value=3.0).met
    assert not a_row(value=2.9).met
    assert a_row(least_ratio=2.0).met
    assert not a_row(least_ratio=2.1).met


def test_a_goal_may_ask_for_several_things() -> None:
    """An absolute figure, and to be ahead of the floor or at least not behind it by more than its rounds differ."""
    assert not a_row(value=3.0, ratio=1.0).met
    assert a_row(value=3.0, ratio=2.0).goal == "3 ms, ratio 2"

    def beside(floors: list[float]) -> Row:
        goal = Goal(value=5, not_behind=True)
        return row("a_thing", [4.0], floors, unit="ms", reference_name="the least", goal=goal)

    assert beside([3.0, 3.5, 4.5]).met
    assert not beside([3.0, 3.1, 3.2]).met
    assert beside([0.0]).ratio > 0


@pytest.mark.parametrize(("percent", "expected"), [(0, 1.0), (50, 2.5), (95, 3.85), (100, 4.0)])
def test_percentiles_lie_between_ranks(percent: float, expected: float) -> None:
    """As numpy's default method has them."""
    assert percentile([4.0, 1.0, 3.0, 2.0], percent) == pytest.approx(expected)


def test_the_last_line_is_json_for_scripts() -> None:
    """`BENCH`, then each row by name with exactly the six fields that were promised."""
    mark, _, text = line([a_row()]).partition(" ")
    rows = json.loads(text)["rows"]
    assert mark == "BENCH"
    assert rows.keys() == {"a_thing"}
    assert rows["a_thing"].keys() == {"value", "p95", "unit", "reference", "reference_name", "ratio"}


def test_the_table_says_what_was_missed() -> None:
    """A person sees the figure, the floor, the ratio, the goal, and whether it was met."""
    console = Console(width=140, record=True)
    console.print(table([a_row()]))
    shown = console.export_text()
    for what in ("a_thing", "3 ms", "1.5 ms", "2.00", "ratio 1.5", "missed", "the least"):
        assert what in shown


def committed(name: str) -> WorkflowHistory:
    """A history as it was committed."""
    return WorkflowHistory.from_json(name, (HISTORIES / f"{name}.json").read_text())


def test_a_floor_gets_the_steps_that_ours_has() -> None:
    """Local, on the workflows' worker, elsewhere; in order, and only up to the answer."""
    assert mix_of(committed("expired")) == "LLLLRL"
    assert mix_of(committed("normal")) == "LLRRSLLRL"


def test_the_join_is_read_off_the_history() -> None:
    """When the step began on its server, and how long the room took, as the step itself says."""
    history = committed("expired")
    started, publish_ms = read_join(history)
    assert publish_ms == 100
    assert started >= history.events[0].event_time.ToNanoseconds() / 1e9


def test_steps_that_say_nothing_took_no_time() -> None:
    """Stand-ins measure nothing; only decoding and alignment count."""
    assert pipeline_ms(committed("normal")) == 0


def test_cpu_time_grows_with_work() -> None:
    """The clock of another process's CPU, here of our own."""
    before, own = cpu_of(os.getpid()), time.process_time()
    while time.process_time() - own < 0.05:
        pass
    assert 0.04 < cpu_of(os.getpid()) - before < 5


async def test_the_floor_performs_its_mix(temporal: Client) -> None:
    """Every step is really done, where its letter says, before the update answers."""
    address = temporal.service_client.config.target_host
    async with child("bench.floors.temporal", address, "workflows"), child("bench.floors.temporal", address, "remote"):
        await floor.update_with_start(temporal, "")
        handle = await temporal.start_workflow(
            floor.BareWorkflow.run,
            "LSR",
            id="bench-floor-test",
            task_queue=floor.QUEUE,
            execution_timeout=timedelta(seconds=20),
        )
        assert await handle.execute_update(floor.BareWorkflow.await_done) == 0
        history = await handle.fetch_history()
    queues = [
        event.activity_task_scheduled_event_attributes.task_queue.name
        for event in history.events
        if event.activity_task_scheduled_event_attributes.activity_type.name
    ]
    assert queues == [floor.QUEUE, floor.REMOTE]
    assert mix_of(history).count("L") == 1
