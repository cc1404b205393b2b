"""Platforms whose rooms put no older avatar out when a newer one comes with the same token (design rule 10)."""

from datetime import timedelta
from typing import Final

from temporalio import workflow

EVICTS_NOBODY: Final = frozenset({"daily"})
OLDER_LEAVES_WITHIN: Final = timedelta(seconds=60)
"""By then an avatar server that cannot renew its leases has left its rooms."""


def hold_back(platform: str, *, older_may_run: bool) -> timedelta:
    """How long a newer avatar has to wait, so that nobody sees two; an older one that has left is not waited for."""
    return OLDER_LEAVES_WITHIN if older_may_run and platform in EVICTS_NOBODY else timedelta(0)


async def wait_until_gone(platform: str, *, older_may_run: bool) -> None:
    """Wait until no older avatar of the session can be in its room. Its lease is revoked already."""
    if pause := hold_back(platform, older_may_run=older_may_run):
        await workflow.sleep(pause, summary=f"a room of {platform} evicts nobody: the older avatar may be there")
