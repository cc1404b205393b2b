"""What the tests of many machines do beyond other fault tests: cut a machine off, and see who served whom, when."""

import asyncio
import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from temporalio.api.enums.v1 import EventType, PendingActivityState

from support.auditor import breaches
from support.far_system import FarSystem
from support.fault_bench import Bench, Case
from support.machines import Machine
from support.real_system import Live
from support.room_viewer import RoomViewer

STAY = "stay_in_room"
ANYWHERE = "0.0.0.0/0"
BILL_SLACK_MS = 1_500
"""A renewal's interval, and the time that a viewer needs until it decodes the first picture."""


class FarBench(Bench):
    """A system on several machines, and the case that is being tried on it."""

    def __init__(self, far: FarSystem, case: Case) -> None:
        super().__init__(far.system, far.database, far.auditor, case)
        self.far = far
        self.running = far.running

    def server_of(self, session_id: str) -> tuple[str, int]:
        """The avatar server that holds the session's lease, and the lease's generation."""
        query = "SELECT server, generation FROM leases WHERE session_id = ? AND revoked_at IS NULL"
        [(server, generation)] = self.rows(query, session_id)
        return server, generation

    def moves_of(self, session_id: str) -> list[tuple[object, ...]]:
        """The session's moves in the audit trail: generation and cause."""
        query = (
            "SELECT generation, reason FROM session_events"
            " WHERE session_id = ? AND step = 'record_moved' ORDER BY generation"
        )
        return self.rows(query, session_id)

    @contextmanager
    def cut_off(self, machine: Machine, *services: str) -> Iterator[None]:
        """Nothing arrives any more between a machine and these services, or anybody where none is named."""
        addresses = [self.running.where(service) for service in services] or [ANYWHERE]
        with self.running.network.cut(machine, *addresses):
            self.case.fault_now()
            yield

    async def stays(self, session_id: str, kind: EventType.ValueType) -> list[float]:
        """When, in seconds since the fault, a long step of the session's avatar ended in a way."""
        history = await self.system.temporal.get_workflow_handle(session_id).fetch_history()
        scheduled = {e.event_id: e.activity_task_scheduled_event_attributes for e in history.events}
        found = []
        for event in history.events:
            if event.event_type != kind:
                continue
            timed_out = kind == EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT
            ended = (
                event.activity_task_timed_out_event_attributes
                if timed_out
                else event.activity_task_failed_event_attributes
            )
            if scheduled[ended.scheduled_event_id].activity_type.name == STAY:
                at = event.event_time.ToDatetime(tzinfo=UTC)
                found.append(self.case.since_fault() - (datetime.now(UTC) - at).total_seconds())
        return [at for at in found if at > 0]

    async def attached_again(self, session_id: str, within_s: float) -> float:
        """Wait until the avatar's long step has begun anew since now; how long that took."""
        handle, since, began = self.system.temporal.get_workflow_handle(session_id), datetime.now(UTC), time.monotonic()
        while True:
            pending = (await handle.describe()).raw_description.pending_activities
            for one in (one for one in pending if one.activity_type.name == STAY):
                started = one.last_started_time.ToDatetime(tzinfo=UTC)
                if one.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED and started > since:
                    return time.monotonic() - began
            assert time.monotonic() - began < within_s, f"not attached again after {within_s} s"
            await asyncio.sleep(0.1)

    async def seen_again(self, viewer: RoomViewer, before: set[str], within_s: float) -> float:
        """Wait for a frame of another participant; seconds since the fault."""
        while {frame.participant_sid for frame in viewer.frames} <= before:
            assert self.case.since_fault() < within_s, "no other avatar came"
            await asyncio.sleep(0.02)
        return self.case.since_fault()

    def gap(self, viewer: RoomViewer) -> float:
        """The longest time without a frame since the fault."""
        frames = [frame.at for frame in viewer.frames if frame.at > self.case.began - 1]
        return max(b - a for a, b in itertools.pairwise(frames))

    async def whole_again(self, slots: int) -> None:
        """Wait until the auditor finds nothing and so many slots are free."""
        await self.whole(within_s=30)
        await self.system.wait_capacity(slots, within_s=60)
        assert breaches(await self.auditor.facts()) == []

    def check_bill(self, live: Live, unwritten_s: float = 0.0) -> float:
        """The bill says what the leases say, never more than was seen, short by what could not be written; seconds."""
        query = "SELECT served_ms, minutes FROM charges WHERE session_id = ?"
        [(billed_ms, minutes)] = self.rows(query, live.session_id)
        query = "SELECT sum(served_ms) FROM leases WHERE session_id = ?"
        assert self.rows(query, live.session_id) == [(billed_ms,)]
        seen_ms = 1000 * sum(b - a for a, b in stays_seen(live.viewer))
        assert billed_ms <= seen_ms + BILL_SLACK_MS, (billed_ms, seen_ms)
        assert billed_ms >= seen_ms - 1000 * unwritten_s - BILL_SLACK_MS, (billed_ms, seen_ms)
        assert minutes == -(-billed_ms // 60_000)
        return float(billed_ms / 1000)


def stays_seen(viewer: RoomViewer) -> list[tuple[float, float]]:
    """From when to when each avatar was seen. AssertionError if one is seen again after another: they were two."""
    stays = [list(group) for _, group in itertools.groupby(viewer.frames, key=lambda frame: frame.participant_sid)]
    sids = [stay[0].participant_sid for stay in stays]
    assert len(sids) == len(set(sids)), "two avatars were seen"
    return [(stay[0].at, stay[-1].at) for stay in stays]
