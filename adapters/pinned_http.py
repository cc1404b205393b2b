"""One HTTP request, of a picture or a webhook, to checked addresses. Looks up no name, follows no redirect."""

import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address

from aiohttp import (
    ClientConnectorSSLError,
    ClientError,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientSSLError,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from domain.failures import FailureCode, Refused
from domain.picture_urls import PictureUrl

HEADERS = {
    "User-Agent": "Greenroom",
    "Accept": "image/jpeg,image/png,image/webp,image/gif,image/*;q=0.5",
    "Accept-Encoding": "identity",
}
OK = 200
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAY_PASS = frozenset({408, 425, 429})
SERVER_ERRORS = 500
"""From this status on, and for those above, the same request may be answered later."""

AddressInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[object, ...]]


@dataclass(frozen=True, kw_only=True)
class Redirect:
    """The host says that the picture is elsewhere."""

    location: str


class PinnedHttp:
    """Asks for pictures over HTTP and HTTPS; certificates are checked against the URL's host."""

    def __init__(self, *, max_bytes: int, tls: ssl.SSLContext | None = None) -> None:
        self._max_bytes = max_bytes
        self._tls = tls or ssl.create_default_context()

    async def get(self, url: PictureUrl, addresses: Sequence[str]) -> bytes | Redirect:
        """The body of a 200, or where a redirect leads; Refused with one of the IMAGE_ codes for all else.

        Nothing is sent that the URL does not hold: no cookie, no credentials, no Referer, and no proxy is asked.
        """
        with refusing(url):
            async with (
                pinned_session(addresses, self._tls, HEADERS) as session,
                session.get(URL(url.text, encoded=True), allow_redirects=False) as response,
            ):
                if response.status in REDIRECTS and "Location" in response.headers:
                    return Redirect(location=response.headers["Location"])
                check_status(url, response.status)
                return await self._body(url, response)

    async def _body(self, url: PictureUrl, response: ClientResponse) -> bytes:
        """The body, counted while it comes in, so that no more than the limit is ever held."""
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise unusable(url, "encoding", "The picture's host answered with a compressed body, unasked")
        self._check_size(response.content_length or 0)
        body = bytearray()
        async for chunk in response.content.iter_any():
            self._check_size(len(body) + len(chunk))
            body += chunk
        if not body:
            raise unusable(url, "empty", "The picture's host answered with nothing")
        return bytes(body)

    def _check_size(self, size: int) -> None:
        if size > self._max_bytes:
            raise Refused(
                FailureCode.IMAGE_TOO_LARGE,
                "The picture is too large",
                details={"bytes": size, "limit": self._max_bytes},
            )


async def post(
    url: PictureUrl,
    addresses: Sequence[str],
    *,
    body: bytes,
    headers: Mapping[str, str],
    tls: ssl.SSLContext | None = None,
) -> int:
    """The status of the answer to a POST; its body is not read, and a redirect not followed. Refused as `get`."""
    usual = {"User-Agent": HEADERS["User-Agent"], "Accept-Encoding": "identity"}
    with refusing(url):
        async with (
            pinned_session(addresses, tls or ssl.create_default_context(), usual) as session,
            session.post(URL(url.text, encoded=True), data=body, headers=headers, allow_redirects=False) as response,
        ):
            return response.status


def pinned_session(addresses: Sequence[str], tls: ssl.SSLContext, headers: Mapping[str, str]) -> ClientSession:
    """A session for one request: nothing is kept from one to the next. The caller bounds the time."""
    connector = TCPConnector(
        resolver=Pinned(addresses),
        socket_factory=pinned_sockets(addresses),
        ssl=tls,
        use_dns_cache=False,
        force_close=True,
    )
    return ClientSession(
        connector=connector,
        headers=headers,
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
        timeout=ClientTimeout(total=None, sock_connect=None),
    )


class Pinned(AbstractResolver):
    """Stands where a resolver would: every name is the addresses that were looked up and checked before."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - the interface's
    ) -> list[ResolveResult]:
        """The addresses, whatever is asked."""
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


def pinned_sockets(addresses: Sequence[str]) -> Callable[[AddressInfo], socket.socket]:
    """Makes sockets for these addresses only: the last look before a connection, however it was arrived at."""
    checked = {ip_address(address) for address in addresses}

    def make(info: AddressInfo) -> socket.socket:
        family, kind, protocol, _, target = info
        if ip_address(str(target[0])) not in checked:
            raise OSError("an address that was not checked")
        return socket.socket(family, kind, protocol)

    return make


@contextmanager
def refusing(url: PictureUrl) -> Iterator[None]:
    """Turn the client's errors into refusals. They are not passed on as causes, since they quote the URL."""
    try:
        yield
    except (ClientSSLError, ClientConnectorSSLError):
        raise unusable(
            url, "certificate", "No safe connection to the picture's host: its certificate is not valid"
        ) from None
    except ClientResponseError:
        raise unusable(url, "protocol", "The picture's host does not answer in HTTP") from None
    except (ClientError, OSError):
        raise unreachable(url, "connection", "The connection to the picture's host failed or broke") from None
    except ValueError:
        raise unusable(url, "protocol", "The picture's host cannot be asked in HTTP") from None


def check_status(url: PictureUrl, status: int) -> None:
    """Refuse every status but 200."""
    if status >= SERVER_ERRORS or status in MAY_PASS:
        raise unreachable(url, "status", "The picture's host cannot answer at present", status=status)
    if status != OK:
        raise unusable(url, "status", "The picture's host did not answer with the picture", status=status)


def unusable(url: PictureUrl, reason: str, message: str, **details: object) -> Refused:
    """The refusal of a URL that gives no picture, and will give none."""
    return Refused(FailureCode.IMAGE_URL_UNUSABLE, message, details={"reason": reason, "host": url.host, **details})


def unreachable(url: PictureUrl, reason: str, message: str, **details: object) -> Refused:
    """The refusal of a URL whose host does not answer now; asking again may help."""
    return Refused(FailureCode.IMAGE_URL_UNREACHABLE, message, details={"reason": reason, "host": url.host, **details})
