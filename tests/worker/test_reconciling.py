"""The Schedule that starts the reconciler, on a real dev server."""

from datetime import timedelta

from temporalio.client import Client

from contracts.reconciling import SCHEDULE_ID
from worker.reconciling import keep_schedule


async def test_every_worker_may_make_the_schedule(temporal_deserted: Client) -> None:
    """A second worker brings it up to date; that an operator has paused it stays."""
    handle = temporal_deserted.get_schedule_handle(SCHEDULE_ID)
    await keep_schedule(temporal_deserted, timedelta(hours=1))
    try:
        await handle.pause(note="the operator's")
        await keep_schedule(temporal_deserted, timedelta(hours=2))
        found = (await handle.describe()).schedule
        assert [interval.every for interval in found.spec.intervals] == [timedelta(hours=2)]
        assert (found.state.paused, found.state.note) == (True, "the operator's")
    finally:
        await handle.delete()
