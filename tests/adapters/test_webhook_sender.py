"""One POST of a webhook: signed, to checked addresses, bounded, and without following anybody."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence

import pytest
from standardwebhooks import WebhookVerificationError

from adapters.webhook_sender import WebhookSender
from domain.failures import FailureCode, Refused
from support.livekit_server import free_port
from support.webhook_receiver import WebhookReceiver, answer, webhook_receiver

OLD = "whsec_" + "b2xk" * 8
NEW = "whsec_" + "bmV3" * 8
BODY = json.dumps({"type": "session.ended", "data": {"name": "Zo\u00eb"}}, ensure_ascii=False)


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    """A customer's server."""
    async with webhook_receiver() as one:
        yield one


async def refusal(sender: WebhookSender, url: str) -> Refused:
    """How a POST is refused, without a word of what the URL hides."""
    with pytest.raises(Refused) as caught:
        await sender.send(url, "evt_1", BODY, [NEW])
    assert "a-secret" not in f"{caught.value} {caught.value.details} {caught.value.__cause__}"
    return caught.value


async def test_every_secret_signs(receiver: WebhookReceiver) -> None:
    """During a rotation the receiver may know either; a third is refused, and so is a body that was changed."""
    sender = WebhookSender({"127.0.0.1"})
    assert await sender.send(receiver.url, "evt_1", BODY, [NEW, OLD]) == 204
    (one,) = receiver.received
    assert one.event_id == "evt_1"
    assert one.headers["content-type"] == "application/json"
    assert one.checked(NEW) == one.checked(OLD) == json.loads(BODY)
    with pytest.raises(WebhookVerificationError):
        one.checked("whsec_" + "b3Ro" * 8)
    changed = type(one)(headers=one.headers, body=one.body + b" ")
    with pytest.raises(WebhookVerificationError):
        changed.checked(NEW)
    sender.close()


async def test_a_redirect_is_an_answer(receiver: WebhookReceiver) -> None:
    """Nobody is followed, wherever it leads."""
    receiver.answers = [answer(307, Location="http://169.254.169.254/"), answer(302, Location=receiver.url)]
    sender = WebhookSender({"127.0.0.1"})
    assert [await sender.send(receiver.url, "evt_1", BODY, [NEW]) for _ in range(2)] == [307, 302]
    assert len(receiver.received) == 2
    sender.close()


async def test_a_private_address_is_never_connected_to(receiver: WebhookReceiver) -> None:
    """Neither written as a number nor behind a name, also where only one of a name's addresses is private."""

    async def resolve(_: str) -> Sequence[str]:
        return ["93.184.215.14", "127.0.0.1"]

    named = f"http://hooks.example.com:{receiver.port}/a-secret"
    for sender, url in ((WebhookSender(), receiver.url), (WebhookSender(resolve=resolve), named)):
        assert (await refusal(sender, url)).code == FailureCode.WEBHOOK_URL_NOT_ALLOWED
        sender.close()
    assert receiver.received == []


async def test_a_checked_name_is_connected_to_by_its_address(receiver: WebhookReceiver) -> None:
    """What was looked up is what is connected to, under the URL's name."""

    async def resolve(_: str) -> Sequence[str]:
        return ["127.0.0.1"]

    sender = WebhookSender(resolve=resolve, is_public=lambda _: True)
    assert await sender.send(f"http://hooks.example.com:{receiver.port}/x", "evt_1", BODY, [NEW]) == 204
    assert receiver.received[0].headers["host"] == f"hooks.example.com:{receiver.port}"
    sender.close()


async def test_a_receiver_that_does_not_answer_is_given_up(receiver: WebhookReceiver) -> None:
    """Silent, or not there: it may be tried again."""
    receiver.silent = True
    sender = WebhookSender({"127.0.0.1"}, seconds=0.3)
    async with asyncio.timeout(20):
        assert (await refusal(sender, receiver.url)).code == FailureCode.WEBHOOK_NOT_DELIVERED
        gone = f"http://127.0.0.1:{free_port()}/a-secret"
        assert (await refusal(sender, gone)).code == FailureCode.WEBHOOK_NOT_DELIVERED
    sender.close()
