"""Fetches pictures by URL, from public addresses only, each looked up once and pinned. It does not try again."""

import asyncio
import ssl
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapters.host_addresses import HostAddresses, Resolve
from adapters.image_reading import MAX_BYTES
from domain import public_addresses
from domain.failures import FailureCode, Refused, TimeUsedUp
from domain.picture_urls import PictureUrl, check_url, redirected

if TYPE_CHECKING:
    from adapters.pinned_http import PinnedHttp


@dataclass(frozen=True, kw_only=True)
class FetchLimits:
    """What fetching one picture may take."""

    seconds: float = 10.0
    """For everything: look-ups, connections, redirects and the body."""
    most_bytes: int = MAX_BYTES
    """Of the body."""
    redirects: int = 3


class PictureSource:
    """Fetches pictures from the public internet and from `vouched_for`, the hosts that the operator named.

    Belongs to one event loop. `resolve`, `is_public` and `tls` stand in for the system's resolver, the table of
    public addresses and the system's certificate authorities.
    """

    def __init__(
        self,
        vouched_for: Collection[str] = (),
        *,
        limits: FetchLimits | None = None,
        resolve: Resolve | None = None,
        is_public: Callable[[public_addresses.Address], bool] = public_addresses.is_public,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._vouched_for = frozenset(vouched_for)
        self._limits = limits or FetchLimits()
        self._hosts = HostAddresses(resolve, is_public)
        self._tls = tls
        self._made_http: PinnedHttp | None = None

    async def fetch(self, url: str) -> bytes:
        """The picture's bytes, not looked at; Refused where they cannot be had, without the URL's path and query.

        IMAGE_URL_NOT_ALLOWED, IMAGE_URL_UNUSABLE and IMAGE_TOO_LARGE are final; after IMAGE_URL_UNREACHABLE the same
        may succeed later, but not within this create where the host took all the time that it had.
        """
        checked = check_url(url, self._vouched_for)
        try:
            async with asyncio.timeout(self._limits.seconds):
                return await self._follow(checked)
        except TimeoutError:
            raise TimeUsedUp(
                FailureCode.IMAGE_URL_UNREACHABLE,
                "The picture's host took too long",
                details={"reason": "time", "host": checked.host, "seconds_limit": self._limits.seconds},
            ) from None

    async def aclose(self) -> None:
        """Take no more look-ups; those under way end by themselves."""
        self._hosts.close()

    async def _follow(self, url: PictureUrl) -> bytes:
        """The picture at the end of its redirects, each of them checked as the first URL was."""
        for _ in range(self._limits.redirects + 1):
            answer = await self._http.get(url, await self._hosts.of(url))
            if isinstance(answer, bytes):
                return answer
            url = redirected(url, answer.location, self._vouched_for)
        raise Refused(
            FailureCode.IMAGE_URL_UNUSABLE,
            "The picture's host redirects too often",
            details={"reason": "redirects", "host": url.host, "limit": self._limits.redirects},
        )

    @property
    def _http(self) -> "PinnedHttp":
        """The client, made when first needed."""
        if self._made_http is None:
            # It takes 0.2 s to import, and a worker that is sent no URL does without.
            from adapters.pinned_http import PinnedHttp  # noqa: PLC0415

            self._made_http = PinnedHttp(max_bytes=self._limits.most_bytes, tls=self._tls)
        return self._made_http
