"""Webhooks: one attempt to deliver, and giving up. Addresses, contents and secrets are looked up here."""

import json
from collections.abc import Sequence

from activities.beats import beating
from activities.failures import translated
from adapters.sealing import CannotOpen, Sealer
from adapters.webhook_sender import WebhookSender
from contracts import steps
from database.outbox import Delivery, Message, Outbox
from domain.failures import FailureCode, Refused, Unavailable
from domain.webhooks import SECRET_FIELD
from telemetry.metrics import WEBHOOK_ATTEMPTS, WEBHOOK_DELIVERIES

GONE = 410
"""The receiver wants to hear no more of it."""


class WebhookActivities:
    """At least once: where a worker dies between the receiver's answer and our row, the same event id comes again."""

    def __init__(self, outbox: Outbox, sealer: Sealer | None, sender: WebhookSender) -> None:
        self._outbox = outbox
        self._sealer = sealer
        self._sender = sender

    @steps.deliver_webhook.implementation
    async def deliver_webhook(self, value: steps.DeliverWebhookInput) -> steps.DeliverWebhookResult:
        """Send it, and count the attempt. WEBHOOK_NOT_DELIVERED, to be tried again, unless a 2xx came.

        An endpoint that was removed meanwhile is told nothing, and that is no failure.
        """
        delivery = Delivery(event_id=value.event_id, endpoint_id=value.endpoint_id, round=value.round)
        with translated():
            async with beating():
                message = await self._outbox.message(delivery)
                if message is None or message.is_delivered:
                    return steps.DeliverWebhookResult(status=0)
                status = await self._attempt(delivery, message)
        return steps.DeliverWebhookResult(status=status)

    @steps.give_up_webhook.implementation
    async def give_up_webhook(self, value: steps.GiveUpWebhookInput) -> steps.Done:
        """Note that it was not delivered."""
        delivery = Delivery(event_id=value.event_id, endpoint_id=value.endpoint_id, round=value.round)
        with translated():
            await self._outbox.give_up(delivery, value.why)
        WEBHOOK_DELIVERIES.labels("given_up").inc()
        return steps.Done()

    async def _attempt(self, delivery: Delivery, message: Message) -> int:
        secrets = self._opened(delivery.endpoint_id, message.sealed_secrets)
        try:
            status = await self._sender.send(message.url, delivery.event_id, body_of(message), secrets)
        except Refused as refusal:
            WEBHOOK_ATTEMPTS.labels("unreachable").inc()
            await self._outbox.attempted(delivery, refusal.message, delivered=False)
            raise
        taken = 200 <= status < 300  # noqa: PLR2004
        WEBHOOK_ATTEMPTS.labels("taken" if taken else "refused").inc()
        await self._outbox.attempted(delivery, f"HTTP {status}", delivered=taken)
        if status == GONE:
            raise Refused(FailureCode.WEBHOOK_URL_NOT_ALLOWED, "The webhook's host wants no more of these: HTTP 410")
        if not taken:
            raise Refused(FailureCode.WEBHOOK_NOT_DELIVERED, f"The webhook's host answered HTTP {status}")
        WEBHOOK_DELIVERIES.labels("delivered").inc()
        return status

    def _opened(self, endpoint_id: str, sealed: Sequence[str]) -> list[str]:
        if self._sealer is None:
            raise Unavailable("GREENROOM_WEBHOOK_KEYS is not set: webhooks cannot be signed")
        try:
            return [self._sealer.open(one, session_id=endpoint_id, field=SECRET_FIELD) for one in sealed]
        except CannotOpen as error:
            raise Unavailable(f"a webhook's secret was sealed with a key that is not known here: {error}") from None


def body_of(message: Message) -> str:
    """The body: the same bytes in every attempt."""
    at = message.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"type": message.type, "timestamp": at, "data": message.data}, separators=(",", ":"))
