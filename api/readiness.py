"""Whether the parts that a create needs are there. Each is asked at the same time, and given three seconds."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

log = logging.getLogger(__name__)

WITHIN_S = 3.0
OK = "ok"

Check = Callable[[], Awaitable[None]]


class NotReady(Exception):
    """A part answered, but cannot serve; the message says why and is shown."""


class Readiness:
    """Named checks; one that returns is `ok`."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = dict(checks)

    async def look(self) -> dict[str, str]:
        """The state of each part: `ok`, or a few words."""
        states = await asyncio.gather(*(self._state(name, check) for name, check in self._checks.items()))
        return dict(zip(self._checks, states, strict=True))

    async def _state(self, name: str, check: Check) -> str:
        try:
            async with asyncio.timeout(WITHIN_S):
                await check()
        except NotReady as error:
            return str(error)
        except TimeoutError:
            return "no answer"
        except Exception as error:  # noqa: BLE001 - whatever a part raises, the answer is that it is away
            # Without a trace: this is asked every few seconds for as long as the part is away.
            log.warning("readiness: %s is away (%s: %s)", name, type(error).__name__, error)
            return "away"
        return OK
