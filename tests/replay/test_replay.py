"""Committed histories replay on today's code, and a fresh run climbs the ladder that they show."""

import json
import os
import re
from pathlib import Path

import pytest
from replay.ladder import ladder
from replay.scenes import SCENES, play
from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from contracts.converter import data_converter
from support.stand_in_steps import StandInSteps
from worker.registry import ROLES
from worker.sandbox import SANDBOX

HISTORIES = Path(__file__).parent / "histories"
PROCESS_AT_MACHINE = re.compile(r"^\d+@.+$")
RENEW = "GREENROOM_TEST_RENEW_HISTORIES"


def committed(name: str) -> WorkflowHistory:
    """A history as it was committed."""
    return WorkflowHistory.from_json(name, (HISTORIES / f"{name}.json").read_text())


def write(name: str, history: WorkflowHistory) -> None:
    """Renew a history; stack traces carry paths of the machine, and say nothing about the order of steps."""
    HISTORIES.mkdir(exist_ok=True)
    (HISTORIES / f"{name}.json").write_text(json.dumps(stripped(json.loads(history.to_json())), indent=1) + "\n")


def stripped(value: object) -> object:
    """The same JSON without stack traces, and without the name of the machine that ran the worker."""
    if isinstance(value, str):
        return PROCESS_AT_MACHINE.sub("worker", value)
    if isinstance(value, dict):
        return {key: stripped(inner) for key, inner in value.items() if key not in ("stackTrace", "identity")}
    return [stripped(inner) for inner in value] if isinstance(value, list) else value


async def replay(history: WorkflowHistory) -> None:
    """Replay in the sandbox that the workers use."""
    replayer = Replayer(
        workflows=ROLES["sessions"].workflow_types(), data_converter=data_converter, workflow_runner=SANDBOX
    )
    await replayer.replay_workflow(history)


@pytest.mark.parametrize(
    "name", sorted(str(path.relative_to(HISTORIES).with_suffix("")) for path in HISTORIES.rglob("*.json"))
)
async def test_a_committed_history_replays(name: str) -> None:
    """Sessions that began on the committed code can go on with this one."""
    await replay(committed(name))


@pytest.mark.parametrize("name", SCENES)
async def test_a_fresh_run_climbs_the_committed_ladder(temporal: Client, stand_ins: StandInSteps, name: str) -> None:
    """The order of steps, queues, timers and updates is the committed one."""
    history = await play(name, temporal, stand_ins)
    if os.environ.get(RENEW):
        write(name, history)
    assert ladder(history) == ladder(committed(name)), (
        "the order of steps changed: sessions that run now would break. "
        "Guard the change with workflow.patched(), or renew with `make histories` if none can be running"
    )


async def test_a_history_with_another_order_does_not_replay() -> None:
    """A replay that could not fail would prove nothing: two steps changed places, and the replay says so."""
    text = (HISTORIES / "normal.json").read_text()
    changed = text.replace('"align_face"', '"SWAP"').replace('"decode_image"', '"align_face"')
    with pytest.raises(NondeterminismError):
        await replay(WorkflowHistory.from_json("normal", changed.replace('"SWAP"', '"decode_image"')))


async def test_an_hour_stays_under_a_hundred_events() -> None:
    """With a picture, a person who came, and the slices of an hour: ten minutes, twenty and thirty."""
    history = committed("an_hour")
    lines = ladder(history)
    assert lines.count("local step reserve_minutes") == 2
    assert len(history.events) < 100


async def test_every_scene_has_a_history_and_every_history_a_scene() -> None:
    """What is committed is what is run."""
    assert {path.stem for path in HISTORIES.glob("*.json")} == set(SCENES)
