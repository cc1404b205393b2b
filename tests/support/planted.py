"""Secrets that are leaked on purpose, one in each place that is searched: what is not found there was not searched."""

import asyncio
import base64
import secrets
import zipfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from io import BytesIO
from typing import Any
from urllib.parse import quote

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from contracts import search_attributes

QUEUE = "planted"
WORKFLOW_ID = "planted-workflow"
OF_TEMPORAL = {
    "history": {"input", "signal", "marker", "memo", "attribute"},
    "description": {"heartbeat", "failure", "summary", "memo", "attribute"},
    "listing": {"memo", "attribute"},
}
"""What stands where in what Temporal tells of the planted workflow."""
OTHERS = ("row", "object", "object name", "log", "span", "event", "metric", "command line", "output", "count")


def missed_of_temporal(hits: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """What the search did not find of the planted workflow, by what Temporal tells of it."""
    missed = {
        kind: {name for name in names if f"planted {name}" not in hits.get(f"{kind} of {WORKFLOW_ID}", set())}
        for kind, names in OF_TEMPORAL.items()
    }
    return {kind: names for kind, names in missed.items() if names}


def new_plants() -> dict[str, str]:
    """A secret for each place, by its name, with letters that are written differently in each form."""
    names = set().union(*OF_TEMPORAL.values()) | set(OTHERS)
    return {f"planted {name}": f'{secrets.token_urlsafe(18)}/+&="{secrets.token_urlsafe(6)}' for name in sorted(names)}


def inside_base64(secret: str) -> str:
    """A secret in the base64 of something around it."""
    return base64.b64encode(f"~{secret}~".encode()).decode()


def inside_zip(secret: str) -> bytes:
    """A secret in a compressed member of an archive."""
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("member.txt", f"{'~' * 500}{secret}{'~' * 500}")
    return packed.getvalue()


_wanted: dict[str, str] = {}
"""What the steps leak: in the workflow's input it would be found whatever becomes of them."""


@activity.defn(name="planted_marker")
async def _marker() -> str:
    return inside_base64(_wanted["planted marker"])


@activity.defn(name="planted_failure")
async def _failure() -> None:
    activity.heartbeat({"seen": _wanted["planted heartbeat"]})
    raise ApplicationError(f"refused {_wanted['planted failure']}", type="Planted")


@workflow.defn(name="Planted")
class _Planted:
    """Leaves a secret in a local step's marker, and waits with another in a step that fails."""

    @workflow.run
    async def run(self, _: str) -> None:
        """Go on until it is terminated."""
        await workflow.execute_local_activity(_marker, start_to_close_timeout=timedelta(seconds=5))
        await workflow.execute_activity(
            _failure,
            start_to_close_timeout=timedelta(minutes=5),
            heartbeat_timeout=timedelta(minutes=1),
            retry_policy=RetryPolicy(initial_interval=timedelta(minutes=5)),
        )

    @workflow.signal
    def take(self, _: str) -> None:
        """Keep it in the history."""


@asynccontextmanager
async def planted_workflow(client: Client, plants: Mapping[str, str]) -> AsyncIterator[None]:
    """A workflow that holds its plants in every corner that Temporal shows; terminated at the end."""
    _wanted.update(plants)
    worker = Worker(
        client,
        task_queue=QUEUE,
        workflows=[_Planted],
        activities=[_marker, _failure],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    async with worker:
        handle = await client.start_workflow(
            _Planted.run,
            plants["planted input"],
            id=WORKFLOW_ID,
            task_queue=QUEUE,
            memo={"note": plants["planted memo"]},
            search_attributes=TypedSearchAttributes(
                [SearchAttributePair(search_attributes.ACCOUNT_ID, plants["planted attribute"])]
            ),
            static_summary=plants["planted summary"],
        )
        await handle.signal(_Planted.take, quote(plants["planted signal"], safe=""))
        await _failed(handle)
        yield
        await handle.terminate()


async def _failed(handle: Any) -> None:
    """Wait until its step has failed, and the list knows it."""
    async with asyncio.timeout(20):
        while True:
            pending = (await handle.describe()).raw_description.pending_activities
            if any(one.HasField("last_failure") for one in pending):
                return
            await asyncio.sleep(0.05)
