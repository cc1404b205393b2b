"""When keys were last used: remembered in memory, written at most once a minute, and by no request itself."""

import asyncio
import logging
import time

from database.account_admin import AccountAdmin
from domain.failures import Refused

log = logging.getLogger(__name__)

AGAIN_S = 60.0
WRITE_EVERY_S = 5.0


class KeyUse:
    """Collects the hashes of keys that were used. What a process has not written when it dies is lost."""

    def __init__(self, admin: AccountAdmin) -> None:
        self._admin = admin
        self._noted: dict[str, float] = {}
        self._unwritten: set[str] = set()

    def note(self, key_hash: str) -> None:
        """A known key was used."""
        now = time.monotonic()
        if now - self._noted.get(key_hash, -AGAIN_S) >= AGAIN_S:
            self._noted[key_hash] = now
            self._unwritten.add(key_hash)

    async def write(self) -> None:
        """Write what was noted; what could not be written is tried again."""
        if not self._unwritten:
            return
        hashes, self._unwritten = self._unwritten, set()
        try:
            await self._admin.used(sorted(hashes))
        except Refused as trouble:
            self._unwritten |= hashes
            log.warning("the last use of keys was not written: %s", trouble)

    async def run(self) -> None:
        """Write for ever."""
        while True:
            await asyncio.sleep(WRITE_EVERY_S)
            await self.write()
