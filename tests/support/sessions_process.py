"""A sessions worker in a process of its own, which a test may kill."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from temporalio.client import Client
from temporalio.service import RPCError

from contracts.reconciling import SCHEDULE_ID
from runtime.settings import PREFIX, Settings
from support.api_system import environment

NAMED = ("data_dir", "database_url", "storage_url", "storage_endpoint", "storage_access_key", "storage_secret_key")
"""The settings that the tests' stores need; the others are as they come."""


@asynccontextmanager
async def sessions_worker(settings: Settings, client: Client) -> AsyncIterator[asyncio.subprocess.Process]:
    """A sessions worker on the stores of the settings, gone with the block."""
    wanted = {f"{PREFIX}{name.upper()}": text for name in NAMED if (text := str(getattr(settings, name) or ""))}
    environ = {**os.environ, **environment(client), **wanted}
    worker = await asyncio.create_subprocess_exec(sys.executable, "-m", "worker", "sessions", env=environ)
    try:
        yield worker
    finally:
        with suppress(ProcessLookupError):
            worker.kill()
        await worker.wait()


async def without_reconciler(client: Client) -> None:
    """Pause it: sessions that a test made without workflows it would end itself."""
    async with asyncio.timeout(60):
        while True:
            with suppress(RPCError):
                return await client.get_schedule_handle(SCHEDULE_ID).pause()
            await asyncio.sleep(0.1)
