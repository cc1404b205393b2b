"""One POST of a webhook, signed as Standard Webhooks says, to checked addresses only. It does not try again."""

import asyncio
import ssl
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook

from adapters.host_addresses import HostAddresses, Resolve
from domain import public_addresses
from domain.failures import FailureCode, Refused
from domain.picture_urls import PictureUrl
from domain.webhooks import check_webhook_url, of_webhook

SECONDS = 10.0
"""For everything: look-up, connection, and the answer's head. Its body is not read."""


class WebhookSender:
    """Sends to public addresses and to `vouched_for`, the hosts that the operator named. Belongs to one event loop.

    `resolve`, `is_public` and `tls` are for tests, as of `PictureSource`.
    """

    def __init__(
        self,
        vouched_for: Collection[str] = (),
        *,
        seconds: float = SECONDS,
        resolve: Resolve | None = None,
        is_public: Callable[[public_addresses.Address], bool] = public_addresses.is_public,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._vouched_for = frozenset(vouched_for)
        self._seconds = seconds
        self._hosts = HostAddresses(resolve, is_public)
        self._tls = tls

    async def send(self, url: str, event_id: str, body: str, secrets: Sequence[str]) -> int:
        """The status of the receiver's answer, whatever it is; every secret signs.

        WEBHOOK_URL_NOT_ALLOWED is final; after WEBHOOK_NOT_DELIVERED, where nobody answered, it may be tried again.
        Neither quotes the URL's path or query.
        """
        checked = check_webhook_url(url, self._vouched_for)
        headers = signed_headers(event_id, body, secrets, datetime.now(UTC))
        try:
            async with asyncio.timeout(self._seconds):
                return await self._post(checked, body, headers)
        except TimeoutError:
            raise Refused(FailureCode.WEBHOOK_NOT_DELIVERED, "The webhook's host took too long") from None
        except Refused as refusal:
            raise of_webhook(refusal) from None

    def close(self) -> None:
        """Take no more."""
        self._hosts.close()

    async def _post(self, url: PictureUrl, body: str, headers: dict[str, str]) -> int:
        # It takes .2 s to import, and a worker without webhooks does without.
        from adapters.pinned_http import post  # noqa: PLC0415

        return await post(url, await self._hosts.of(url), body=body.encode(), headers=headers, tls=self._tls)


def signed_headers(event_id: str, body: str, secrets: Sequence[str], at: datetime) -> dict[str, str]:
    """The three headers of Standard Webhooks; one signature for each secret."""
    signatures = " ".join(Webhook(secret).sign(event_id, at, body) for secret in secrets)
    return {
        "Content-Type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signatures,
    }
