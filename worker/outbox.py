"""Starts the workflow of each delivery that the outbox holds; whoever wrote the row need not live on for it."""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import timedelta

from temporalio.client import Client
from temporalio.common import AutoUpgradeVersioningOverride, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from contracts import queues
from contracts.webhook_workflow import DeliverWebhook, delivery_workflow_id
from database.outbox import Delivery, Outbox
from domain.failures import Unavailable
from domain.webhooks import WebhookEvent
from workflows.deliver_webhook import DeliverWebhookWorkflow

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.5
START_WITHIN_S = 5.0
KEPT_FOR = timedelta(days=30)
"""Events that are over; until then they can be sent again."""
TIDY_EVERY_S = 3600.0
AWAY_S = 2.0
"""Between looks while something is in the way."""

Command = Callable[[Delivery], DeliverWebhook]


class OutboxDispatcher:
    """Looks twice a second. Several may run: Temporal takes each workflow id once, and the row is marked after that.

    A dispatcher that dies between the two leaves the row as it was; the next finds the workflow there already.
    """

    def __init__(self, outbox: Outbox, client: Client, command: Command) -> None:
        self._outbox = outbox
        self._client = client
        self._command = command
        self._tidy_at = 0.0

    async def run(self) -> None:
        """Dispatch for ever, and now and then delete what is old. Whatever is away is waited for."""
        while True:
            try:
                await self.dispatch()
                await self._tidy()
            except (Unavailable, RPCError, RuntimeError, TimeoutError) as error:
                log.warning("webhooks wait: %s", error)
                await asyncio.sleep(AWAY_S)
            except Exception:  # sessions must go on whatever is wrong with webhooks
                log.exception("webhooks wait")
                await asyncio.sleep(AWAY_S)
            await asyncio.sleep(LOOK_EVERY_S)

    async def dispatch(self) -> int:
        """Start what is pending; how many there were."""
        pending = await self._outbox.pending()
        for delivery in pending:
            await self._start(delivery)
            await self._outbox.hand_over(delivery)
        return len(pending)

    async def _tidy(self) -> None:
        if time.monotonic() >= self._tidy_at:
            self._tidy_at = time.monotonic() + TIDY_EVERY_S
            await self._outbox.forget(KEPT_FOR)

    async def _start(self, delivery: Delivery) -> None:
        starting = self._client.start_workflow(
            DeliverWebhookWorkflow.run,
            self._command(delivery),
            id=delivery_workflow_id(delivery.event_id, delivery.endpoint_id, delivery.round),
            task_queue=queues.SESSIONS,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            # It may try for a day: it goes on with whatever version is current, and keeps none from draining.
            versioning_override=AutoUpgradeVersioningOverride(),
            static_summary=f"webhook {event_type(delivery.event_id)}",
        )
        try:
            await asyncio.wait_for(starting, START_WITHIN_S)
        except WorkflowAlreadyStartedError:
            log.debug("%s is on its way already", delivery.event_id)


def event_type(event_id: str) -> str:
    """The event that an id is of."""
    return next((event for event in WebhookEvent if event_id.startswith(f"evt_{event.replace('.', '_')}_")), "event")
