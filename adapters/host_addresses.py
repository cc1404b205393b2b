"""Where a checked URL leads: its host looked up once, and refused unless every address is public. Connects nowhere."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

from domain import public_addresses
from domain.failures import FailureCode, Refused
from domain.picture_urls import PictureUrl, not_public

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""All addresses of a host, as numbers; socket.gaierror where there are none."""

MOST_ADDRESSES = 8
"""All are checked, so many are tried: a name of a thousand addresses would make us knock at a thousand doors."""

LOOK_UPS = 32
"""At once. A look-up that nobody waits for any more still holds its thread until the system gives it up."""

NO_SUCH_HOST = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})


class HostAddresses:
    """Looks hosts up, in threads of its own: hanging look-ups must not take those that others work in.

    Belongs to one event loop. `resolve` and `is_public` stand in for the system's resolver and the table of public
    addresses.
    """

    def __init__(
        self,
        resolve: Resolve | None = None,
        is_public: Callable[[public_addresses.Address], bool] = public_addresses.is_public,
    ) -> None:
        self._threads = ThreadPoolExecutor(LOOK_UPS, thread_name_prefix="look-up")
        self._resolve = resolve or self._look_up
        self._is_public = is_public

    async def of(self, url: PictureUrl) -> list[str]:
        """Where to connect; IMAGE_URL_NOT_ALLOWED if any address is not public, unless the host is vouched for.

        IMAGE_URL_UNUSABLE where there is no such host, IMAGE_URL_UNREACHABLE where nobody can tell now.
        """
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

    def close(self) -> None:
        """Take no more look-ups; those under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _look_up(self, host: str) -> list[str]:
        """What the system's resolver says, best address first."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        )
        return [str(address[0]) for *_, address in found]


def _not_found(url: PictureUrl, *, gone: bool) -> Refused:
    """The refusal of a host without addresses: final where its name does not exist."""
    code = FailureCode.IMAGE_URL_UNUSABLE if gone else FailureCode.IMAGE_URL_UNREACHABLE
    message = "There is no such host" if gone else "The picture's host cannot be looked up at present"
    return Refused(code, message, details={"reason": "name", "host": url.host})
