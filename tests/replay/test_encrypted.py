"""Whole workflows whose payloads are encrypted: what their histories show, who can replay them, and old ones."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from replay.ladder import ladder
from replay.scenes import end, play
from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Replayer

from contracts import queues
from contracts.session_workflow import CREATE_UPDATE_ID, CreateSessionInput
from runtime.payload_codec import ENCODING
from runtime.temporal_client import connect, converter
from support.api_system import environment
from support.secret_search import found_in
from support.session_commands import command, new_session_id
from support.stand_in_steps import StandInSteps, standing_in
from support.temporal import ENCRYPTED
from worker.registry import ROLES
from worker.sandbox import SANDBOX
from workflows.create_session import CreateSessionWorkflow

HISTORIES = Path(__file__).parent / "histories"
KEYS = {"GREENROOM_PAYLOAD_KEYS": f"k1:{base64.b64encode(b'p' * 32).decode()}"}
WORDS = {"room": "room.example", "account": "acct_1", "avatar": "avat_1", "sealed": "c2VhbGVk", "said": "by the script"}
"""What an operator without the key must not find in a history."""
OF_THE_SDK = {
    ".events.markerRecordedEventAttributes.details.data.payloads",
    ".events.markerRecordedEventAttributes.details.patch-data.payloads",
}
"""What it writes itself of a local step (its name, number and times), and of a change of the code (its name)."""


@pytest.fixture(scope="module")
async def encrypted(temporal: Client) -> Client:
    """A client as every role has it with keys for payloads."""
    where = {**environment(temporal), "TEMPORAL_NAMESPACE": ENCRYPTED}
    return await connect({**where, **KEYS})


@pytest.fixture(scope="module")
async def stand_ins(encrypted: Client) -> AsyncIterator[StandInSteps]:
    """Workers with the same keys."""
    async with standing_in(encrypted) as stand_ins:
        yield stand_ins


def payloads(value: Any, where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every payload of a history in JSON, and where it stands; search attributes are never encrypted by Temporal."""
    if isinstance(value, dict):
        if "metadata" in value and "encoding" in value["metadata"]:
            yield where, value
        for name, inner in value.items():
            if name != "searchAttributes":
                yield from payloads(inner, f"{where}.{name}")
    elif isinstance(value, list):
        for inner in value:
            yield from payloads(inner, where)


def plain(history: WorkflowHistory) -> set[str]:
    """Where readable payloads stand."""
    mark = base64.b64encode(ENCODING).decode()
    found = payloads(json.loads(history.to_json()))
    return {where for where, one in found if one["metadata"]["encoding"] != mark}


def words(history: WorkflowHistory) -> set[str]:
    """Which of the words can be read in a history, in whatever form."""
    events = json.loads(history.to_json())["events"]
    for event in events:
        event.pop("upsertWorkflowSearchAttributesEventAttributes", None)
        event.get("workflowExecutionStartedEventAttributes", {}).pop("searchAttributes", None)
    texts = {str(number): json.dumps(event).encode() for number, event in enumerate(events)}
    return {name for names in found_in(texts, WORDS).values() for name in names}


@pytest.mark.parametrize("scene", ["normal", "refused_face", "failed_over", "uploaded"])
async def test_a_whole_history_shows_nothing(encrypted: Client, stand_ins: StandInSteps, scene: str) -> None:
    """A session, a refusal, a failover and an upload: no payload can be read; with the key all replays."""
    history = await play(scene, encrypted, stand_ins)
    assert plain(history) <= OF_THE_SDK
    assert words(history) == set()
    assert words(WorkflowHistory.from_json(scene, (HISTORIES / f"{scene}.json").read_text())) != set()
    assert ladder(history) == ladder(WorkflowHistory.from_json(scene, (HISTORIES / f"{scene}.json").read_text()))
    await replay(history, KEYS)
    with pytest.raises(Exception, match=r"encrypt|decode|Decode"):
        await replay(history, {})


async def test_histories_from_before_still_replay() -> None:
    """A session that began unencrypted goes on under a worker with keys."""
    await replay(WorkflowHistory.from_json("failed_over", (HISTORIES / "failed_over.json").read_text()), KEYS)


async def replay(history: WorkflowHistory, environ: dict[str, str]) -> None:
    """Replay as a process with this environment would."""
    workflows = ROLES["sessions"].workflow_types()
    replayer = Replayer(workflows=workflows, data_converter=converter(environ), workflow_runner=SANDBOX)
    await replayer.replay_workflow(history)


async def test_a_session_goes_on_when_encryption_is_switched_on(
    temporal: Client, encrypted: Client, stand_ins: StandInSteps
) -> None:
    """Its input was plain, its outcome is not; whoever has the key reads both."""
    session_id = new_session_id()
    stand_ins.script(session_id)
    before = await connect({**environment(temporal), "TEMPORAL_NAMESPACE": ENCRYPTED})
    await before.start_workflow(
        CreateSessionWorkflow.run, command(session_id), id=session_id, task_queue=queues.SESSIONS
    )
    running = encrypted.get_workflow_handle_for(CreateSessionWorkflow.run, session_id)
    await running.execute_update(CreateSessionWorkflow.await_started, id=CREATE_UPDATE_ID)
    await end(running)
    assert (await running.result()).reason == "ended_by_request"
    events = (await running.fetch_history()).events
    begun = events[0].workflow_execution_started_event_attributes.input.payloads
    (value,) = await encrypted.data_converter.decode(begun, [CreateSessionInput])
    assert value.account_id == "acct_1"
    ended = events[-1].workflow_execution_completed_event_attributes.result.payloads
    assert (begun[0].metadata["encoding"], ended[0].metadata["encoding"]) == (b"json/plain", ENCODING)
