"""What no timer leads out of: workflows that were terminated or lost, and what their sessions left behind."""

import logging
from datetime import timedelta

from temporalio.client import Client

from activities.beats import beating
from activities.failures import translated
from activities.workflow_status import taken_away, which_run
from adapters.livekit_rooms import LiveKitRooms
from adapters.object_store import ObjectStore
from contracts import steps
from contracts.session_workflow import workflow_id
from contracts.upload_workflow import upload_workflow_id
from database.leftovers import Leftovers
from database.sessions import Sessions
from domain.avatars import STAGING
from domain.failures import Refused
from domain.ids import is_session_id
from domain.rooms import room_name
from domain.session import EndReason
from telemetry.metrics import FINDINGS, RECONCILED

log = logging.getLogger(__name__)

STAGED_FOR = timedelta(seconds=20)
"""A picture is staged before its workflow starts, which Temporal has 5 s to take."""
BY_ITSELF = 100
"""Sessions whose workflow one run asks for, one by one: what that costs Temporal does not grow with their number."""
AT_MOST = 500
"""Owners of staged pictures that one run asks for."""
SHOWN = 50


class LeftoverActivities:
    """Mends what was orphaned. Each step looks anew, so a repeat does no harm."""

    def __init__(
        self,
        leftovers: Leftovers,
        sessions: Sessions,
        store: ObjectStore,
        client: Client,
        rooms: LiveKitRooms | None = None,
    ) -> None:
        """`rooms`: the operator's LiveKit server, where sessions have rooms of their own."""
        self._leftovers = leftovers
        self._rooms = rooms
        self._sessions = sessions
        self._store = store
        self._client = client

    @steps.end_orphans.implementation
    async def end_orphans(self, value: steps.LookForLeftovers) -> steps.EndOrphansResult:  # noqa: ARG002
        """End the sessions whose workflow does not run, as `terminated`; the first end that is committed stays.

        Temporal lists those that were taken away, however many run: these are found at once. One that was deleted as
        well is in no list, so it is asked for by itself, among `BY_ITSELF` of all.
        """
        with translated():
            async with beating():
                listed = await self._leftovers.still_unended(await taken_away(self._client))
                asked = sorted({*listed, *await self._leftovers.unended(at_most=BY_ITSELF)})
                alone = await self._without_workflow({name: workflow_id(name) for name in asked})
                # A session that ended while we asked has closed its workflow in order.
                orphans = await self._leftovers.still_unended(alone)
                for session_id in orphans:
                    await self._sessions.end(session_id, EndReason.TERMINATED)
                    await self._delete_room(session_id)
        _found("orphan", len(orphans))
        return steps.EndOrphansResult(looked=len(asked), ended=tuple(orphans[:SHOWN]), number=len(orphans))

    @steps.release_leftovers.implementation
    async def release_leftovers(self, value: steps.LookForLeftovers) -> steps.MendedResult:  # noqa: ARG002
        """Revoke what ended sessions hold, and forget avatar servers that fell silent."""
        with translated():
            async with beating():
                number = await self._leftovers.release()
        _found("lease", number)
        return steps.MendedResult(number=number)

    @steps.discard_leftovers.implementation
    async def discard_leftovers(self, value: steps.LookForLeftovers) -> steps.MendedResult:  # noqa: ARG002
        """Delete what was staged for a create or an upload whose workflow does not run."""
        with translated():
            async with beating():
                old = await self._store.prefixes_older_than(STAGING, STAGED_FOR)
                owners = {prefix: _workflow_of(prefix.rpartition("/")[2]) for prefix in old[:AT_MOST]}
                alone = await self._without_workflow(owners)
                for prefix in alone:
                    await self._store.delete_below(prefix)
        _found("staged", len(alone))
        return steps.MendedResult(number=len(alone))

    async def _delete_room(self, session_id: str) -> None:
        """Delete the room that was made for a session, if one was; else LiveKit does, some time after it is empty."""
        if self._rooms is not None:
            try:
                await self._rooms.delete(room_name(session_id))
            except Refused as trouble:
                log.warning("the room of %s is left to LiveKit: %s", session_id, trouble)

    async def _without_workflow(self, workflows: dict[str, str]) -> list[str]:
        """The names whose workflow does not run; Unavailable if Temporal does not say."""
        run = await which_run(self._client, list(workflows.values()))
        return [name for name, runs in zip(workflows, run, strict=True) if not runs]


def _found(kind: str, number: int) -> None:
    """Count what was mended, nothing too: who looks at the metrics sees that it was looked for."""
    FINDINGS.labels(kind).inc(number)
    RECONCILED.set_to_current_time()


def _workflow_of(owner: str) -> str:
    """The workflow that works on what an owner staged."""
    return workflow_id(owner) if is_session_id(owner) else upload_workflow_id(owner)
