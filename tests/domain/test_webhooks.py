"""Events of webhooks, their ids, and the addresses that they may go to."""

import pytest

from domain.failures import FailureCode, Refused
from domain.webhooks import SUBSCRIBABLE, WebhookEvent, check_webhook_url, event_id, of_webhook, parse_events


def test_what_happens_once_has_one_id() -> None:
    """Made of the event and of whom it happened to, so that no crash makes a second one."""
    ids = {event_id(event, subject) for event in SUBSCRIBABLE for subject in ("sess_01A", "sess_01B")}
    assert len(ids) == 2 * len(SUBSCRIBABLE)
    assert event_id(WebhookEvent.SESSION_ENDED, "sess_01A") == "evt_session_ended_01A"
    assert event_id(WebhookEvent.AVATAR_CREATED, "avat_01A") == "evt_avatar_created_01A"


def test_a_list_of_events_is_read() -> None:
    """Nothing is everything; a typing error is named."""
    assert parse_events("") == SUBSCRIBABLE
    assert parse_events("session.ended, avatar.created,session.ended") == (
        WebhookEvent.SESSION_ENDED,
        WebhookEvent.AVATAR_CREATED,
    )
    for wrong in ("session.end", "webhook.test"):
        with pytest.raises(ValueError, match=wrong):
            parse_events(f"session.ended,{wrong}")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9000/", "http://10.1.2.3/", "https://169.254.169.254/latest", "http://[::1]/", "http://localhost/",
        "https://user:pass@example.com/", "ftp://example.com/", "https://db.internal/", "https://example.com:22/", "http://0x7f.1/",
    ],
)  # fmt: skip
def test_an_inner_address_is_refused(url: str) -> None:
    """By the rules for pictures' URLs, in words that fit; the path is not quoted."""
    with pytest.raises(Refused) as refusal:
        check_webhook_url(f"{url}hush-hush")
    assert refusal.value.code == FailureCode.WEBHOOK_URL_NOT_ALLOWED
    assert "picture" not in refusal.value.message
    assert "hush" not in f"{refusal.value.message} {refusal.value.details}"


def test_what_the_operator_vouches_for_is_taken() -> None:
    """A receiver on this machine, as in `greenroom dev`."""
    assert check_webhook_url("http://127.0.0.1:9000/x", {"127.0.0.1"}).is_vouched_for
    assert check_webhook_url("https://hooks.example.com/x").host == "hooks.example.com"


def test_a_host_that_does_not_answer_is_tried_again() -> None:
    """Only an address that is not allowed is final."""
    away = of_webhook(Refused(FailureCode.IMAGE_URL_UNREACHABLE, "The picture's host took too long"))
    assert (away.code, away.message) == (FailureCode.WEBHOOK_NOT_DELIVERED, "The webhook's host took too long")
