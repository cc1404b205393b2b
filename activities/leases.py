"""Slots of avatar servers: claiming one, and looking at one that may be lost."""

from datetime import timedelta

from activities.failures import translated
from activities.server_watch import ServerWatch
from contracts import steps
from database.leases import Leases


class LeaseActivities:
    """The lease row is the authority; these steps write and read it."""

    def __init__(self, leases: Leases, watch: ServerWatch) -> None:
        self._leases = leases
        self._watch = watch

    @steps.lease_server.implementation
    async def lease_server(self, value: steps.LeaseServerInput) -> steps.LeaseServerResult:
        """Claim a free slot, a create when it is its turn; AT_CAPACITY where there is none for it."""
        with translated():
            if value.in_turn:
                lease = await self._leases.claim_in_turn(
                    value.session_id, wait_s=value.wait_seconds, duplicate_key=value.duplicate_key
                )
            else:
                lease = await self._leases.claim(value.session_id, value.generation)
        return steps.LeaseServerResult(boot_id=lease.boot_id, server=lease.server, queue=lease.queue)

    @steps.look_at_lease.implementation
    async def look_at_lease(self, value: steps.LookAtLeaseInput) -> steps.LookAtLeaseResult:
        """How often the lease was renewed so far, whether it still holds, and how long its server has been silent."""
        with translated():
            sight = await self._leases.look(session_id=value.session_id, generation=value.generation)
            still_s = await self._watch.still_s(sight.boot_id) if sight.held else 0.0
        still = timedelta(seconds=still_s)
        return steps.LookAtLeaseResult(held=sight.held, renewals=sight.renewals, still=still)
