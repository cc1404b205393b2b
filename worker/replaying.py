"""Replays a history on the workflows of this code: would it go on here? It runs no step."""

import re

from temporalio.client import WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.worker import Replayer

from contracts.converter import data_converter
from worker.registry import ROLES
from worker.sandbox import SANDBOX

MESSAGE = re.compile(r'message: "((?:[^"\\]|\\.)*)"')
"""Where Temporal's core keeps the sentence, in what else is a dump of its structures."""

_quiet: list[Runtime] = []


async def replay(history: WorkflowHistory, converter: DataConverter = data_converter) -> str | None:
    """The first command of this code that is not the history's, in Temporal's words; None if all are.

    `converter`: the one that the history's workers had, where they encrypt.
    A workflow that this code does not know, or that fails in its own code, is a difference too.
    """
    replayer = Replayer(
        workflows=ROLES["sessions"].workflow_types(),
        data_converter=converter,
        workflow_runner=SANDBOX,
        runtime=_runtime(),
    )
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    return None if result.replay_failure is None else _sentence(str(result.replay_failure))


def _sentence(said: str) -> str:
    found = MESSAGE.search(said)
    return (found.group(1) if found else said).removeprefix("[TMPRL1100] ").replace("\\'", "'")


def _runtime() -> Runtime:
    """One without a log of its own: a difference is an answer here, not a fault of the process."""
    if not _quiet:
        _quiet.append(Runtime(telemetry=TelemetryConfig(logging=None)))
    return _quiet[0]
