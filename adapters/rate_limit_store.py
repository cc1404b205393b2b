"""Where requests are counted: in this process, or in a Valkey or Redis that several API processes share."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = logging.getLogger(__name__)

ANSWER_WITHIN_S = 0.5
LEFT_ALONE_S = 2.0
"""How long a store that did not answer is not asked again: it must not hold every request up."""

COUNT = """
local count = redis.call('INCR', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  left = tonumber(ARGV[1])
end
return {count, left}
"""
"""One atomic step: a count without an end, which would refuse for ever, cannot be left behind."""


@dataclass(frozen=True, kw_only=True)
class Counted:
    """How often something was counted in the window that runs now, this time included, and how long that lasts."""

    count: int
    ends_in_s: float


class RateLimitStore(Protocol):
    """Counts in windows that begin with the first count."""

    async def count(self, name: str, window_s: float) -> Counted | None:
        """Count once more; None where nobody can tell."""
        ...

    async def aclose(self) -> None:
        """Leave."""
        ...


class MemoryRateLimits:
    """Counts of this process alone. It forgets windows that are over, so that it does not grow with the years."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: dict[str, tuple[float, int]] = {}
        self._tidy_at = 0.0

    async def count(self, name: str, window_s: float) -> Counted:
        """Count once more."""
        now = self._clock()
        if now >= self._tidy_at:
            self._windows = {key: window for key, window in self._windows.items() if window[0] > now}
            self._tidy_at = now + window_s
        ends, before = self._windows.get(name, (0.0, 0))
        if ends <= now:
            ends, before = now + window_s, 0
        self._windows[name] = ends, before + 1
        return Counted(count=before + 1, ends_in_s=ends - now)

    async def aclose(self) -> None:
        """Nothing is open."""


class SharedRateLimits:
    """Counts in a Valkey or Redis. While it is away nothing is counted, which is said once, and once more after it."""

    def __init__(self, url: str, *, prefix: str = "greenroom:requests:") -> None:
        self._url = url
        self._prefix = prefix
        self._made: Redis | None = None
        self._away = False
        self._ask_again_at = 0.0

    async def count(self, name: str, window_s: float) -> Counted | None:
        """Count once more; None, within half a second, where the store does not answer."""
        if time.monotonic() < self._ask_again_at:
            return None
        from redis.exceptions import RedisError  # noqa: PLC0415 - takes .2 s, and most systems have no such store

        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                count, left_ms = await self._counted(self._prefix + name, round(window_s * 1000))
        except (RedisError, OSError, TimeoutError) as error:
            self._went(type(error).__name__)
            return None
        if self._away:
            self._away = False
            log.warning("the store of rate limits is back")
        return Counted(count=int(count), ends_in_s=int(left_ms) / 1000)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._made is not None:
            await self._made.aclose()

    async def _counted(self, key: str, window_ms: int) -> Any:
        answer: Any = self._redis.eval(COUNT, 1, key, str(window_ms))
        return await answer

    def _went(self, why: str) -> None:
        """Note that the store is away. Its address is not logged: it may hold a password."""
        self._ask_again_at = time.monotonic() + LEFT_ALONE_S
        if not self._away:
            self._away = True
            log.warning("the store of rate limits does not answer (%s): requests are not counted", why)

    @property
    def _redis(self) -> "Redis":
        """The client, made when first needed. It tries once: what is behind it is tried again by us."""
        if self._made is None:
            from redis.asyncio import Redis  # noqa: PLC0415 - as above
            from redis.asyncio.retry import Retry  # noqa: PLC0415
            from redis.backoff import NoBackoff  # noqa: PLC0415

            self._made = Redis.from_url(self._url, retry=Retry(NoBackoff(), 0), socket_connect_timeout=ANSWER_WITHIN_S)
        return self._made


def open_rate_limits(url: str) -> RateLimitStore:
    """The store for an address: `redis://`, `rediss://`, `valkey://` or `valkeys://`; without one, this process."""
    if not url:
        return MemoryRateLimits()
    scheme, _, rest = url.partition("://")
    return SharedRateLimits(f"{scheme.replace('valkey', 'redis')}://{rest}")
