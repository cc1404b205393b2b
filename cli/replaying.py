"""Fetches histories from a live namespace or a folder, and replays each; it prints nothing."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.client import Client, WorkflowHistory
from temporalio.converter import DataConverter

from cli.deploying import connected, refused
from domain.failures import FailureCode, Refused
from runtime.temporal_client import converter
from runtime.workflow_lists import OPEN, listed
from worker.registry import ROLES
from worker.replaying import replay

Tell = Callable[["Replayed", int], None]
"""Told of each history, and of how many there are."""


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """One history, and how this code took it."""

    workflow_id: str
    workflow_type: str
    events: int
    breach: str | None
    """The first difference; None where there is none."""


async def replay_last(
    environ: Mapping[str, str], last: int, types: Sequence[str], tell: Tell, *, running: bool = False
) -> None:
    """Replay the newest workflows of a namespace."""
    known = [of.__name__ for of in ROLES["sessions"].workflow_types()]
    with refused():
        client = await connected(environ)
        found = await _newest(client, last, types or known, running=running)
        for execution in found:
            handle = client.get_workflow_handle(execution.workflow_id, run_id=execution.run_id)
            tell(await _replayed(await handle.fetch_history(), client.data_converter), len(found))


async def replay_folder(environ: Mapping[str, str], folder: Path, tell: Tell) -> None:
    """Replay every history below a folder."""
    decrypting = converter(environ)
    paths = sorted(folder.rglob("*.json"))  # noqa: ASYNC240 - nobody waits beside it
    for path in paths:
        try:
            history = WorkflowHistory.from_json(path.stem, json.loads(path.read_text()))
        except (ValueError, KeyError, TypeError) as error:
            raise Refused(FailureCode.INVALID_REQUEST, f"{path} is no history: {error}") from error
        tell(await _replayed(history, decrypting), len(paths))


async def _newest(client: Client, last: int, types: Sequence[str], *, running: bool) -> list[WorkflowExecution]:
    names = ", ".join(f"'{name}'" for name in types)
    query = f"WorkflowType IN ({names})" + f" AND {OPEN}" * running
    return [one async for one in listed(client, query, last)]


async def _replayed(history: WorkflowHistory, decrypting: DataConverter) -> Replayed:
    began = history.events[0].workflow_execution_started_event_attributes
    breach = await replay(history, decrypting)
    return Replayed(
        workflow_id=history.workflow_id,
        workflow_type=began.workflow_type.name,
        events=len(history.events),
        breach=breach,
    )
