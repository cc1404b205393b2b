"""What a webhook delivery's workflow takes, answers and is called."""

from datetime import timedelta

import msgspec


class DeliverWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """One event for one endpoint; neither its address nor what it says stands in a history."""

    event_id: str
    endpoint_id: str
    round: int
    type: str
    first_pause: timedelta = timedelta(seconds=5)
    longest_pause: timedelta = timedelta(hours=1)
    give_up_after: timedelta = timedelta(days=1)


class WebhookOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """How it went."""

    outcome: str
    """`delivered`, or the failure code of the last attempt."""
    status: int = 0


def delivery_workflow_id(event_id: str, endpoint_id: str, round_: int) -> str:
    """One workflow for each event, endpoint and time that it was asked for: a second start is refused by Temporal."""
    again = "" if round_ == 1 else f"/{round_}"
    return f"{event_id}/{endpoint_id}{again}"
