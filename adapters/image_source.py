"""Fetches pictures by URL, from public addresses only, each looked up once and pinned. It does not try again."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from adapters.image_reading import MAX_BYTES
from domain import public_addresses
from domain.failures import FailureCode, Refused
from domain.picture_urls import PictureUrl, check_url, not_public, redirected

if TYPE_CHECKING:
    from adapters.pinned_http import PinnedHttp

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""All addresses of a host, as numbers; socket.gaierror where there are none."""

MOST_ADDRESSES = 8
"""All are checked, so many are tried: a name of a thousand addresses would make us knock at a thousand doors."""

LOOK_UPS = 32
"""At once. A look-up that nobody waits for any more still holds its thread until the system gives it up."""

NO_SUCH_HOST = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})


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
        # Its own threads: hanging look-ups must not take those that others work in.
        self._threads = ThreadPoolExecutor(LOOK_UPS, thread_name_prefix="look-up")
        self._resolve = resolve or self._look_up
        self._is_public = is_public
        self._tls = tls
        self._made_http: PinnedHttp | None = None

    async def fetch(self, url: str) -> bytes:
        """The picture's bytes, not looked at; Refused where they cannot be had, without the URL's path and query.

        IMAGE_URL_NOT_ALLOWED, IMAGE_URL_UNUSABLE and IMAGE_TOO_LARGE are final; after IMAGE_URL_UNREACHABLE the same
        may succeed later.
        """
        checked = check_url(url, self._vouched_for)
        try:
            async with asyncio.timeout(self._limits.seconds):
                return await self._follow(checked)
        except TimeoutError:
            raise Refused(
                FailureCode.IMAGE_URL_UNREACHABLE,
                "The picture's host took too long",
                details={"reason": "time", "host": checked.host, "seconds_limit": self._limits.seconds},
            ) from None

    async def aclose(self) -> None:
        """Take no more look-ups; those under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _follow(self, url: PictureUrl) -> bytes:
        """The picture at the end of its redirects, each of them checked as the first URL was."""
        for _ in range(self._limits.redirects + 1):
            answer = await self._http.get(url, await self._addresses(url))
            if isinstance(answer, bytes):
                return answer
            url = redirected(url, answer.location, self._vouched_for)
        raise Refused(
            FailureCode.IMAGE_URL_UNUSABLE,
            "The picture's host redirects too often",
            details={"reason": "redirects", "host": url.host, "limit": self._limits.redirects},
        )

    async def _addresses(self, url: PictureUrl) -> list[str]:
        """Where to connect: the host looked up once, and refused if any of its addresses is not public."""
        if url.address is not None:
            return [str(url.address)]
        try:
            found = await self._resolve(url.host)
        except OSError as error:
            raise _not_found(url, gone=error.errno in NO_SUCH_HOST) from None
        except UnicodeError:
            raise _not_found(url, gone=True) from None
        if not found:
            raise _not_found(url, gone=True)
        if not url.is_vouched_for and not all(self._is_public(ip_address(address)) for address in found):
            raise not_public(url.host)
        return list(found[:MOST_ADDRESSES])

    async def _look_up(self, host: str) -> list[str]:
        """What the system's resolver says, best address first."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        )
        return [str(address[0]) for *_, address in found]

    @property
    def _http(self) -> "PinnedHttp":
        """The client, made when first needed."""
        if self._made_http is None:
            # It takes 0.2 s to import, and a worker that is sent no URL does without.
            from adapters.pinned_http import PinnedHttp  # noqa: PLC0415

            self._made_http = PinnedHttp(max_bytes=self._limits.most_bytes, tls=self._tls)
        return self._made_http


def _not_found(url: PictureUrl, *, gone: bool) -> Refused:
    """The refusal of a host without addresses: final where its name does not exist."""
    code = FailureCode.IMAGE_URL_UNUSABLE if gone else FailureCode.IMAGE_URL_UNREACHABLE
    message = "There is no such host" if gone else "The picture's host cannot be looked up at present"
    return Refused(code, message, details={"reason": "name", "host": url.host})
