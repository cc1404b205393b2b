"""Reads the fleet's state every few seconds for the metrics of a sessions worker; it decides nothing."""

import asyncio
import logging

from database.fleet import Fleet
from domain.failures import Refused
from telemetry.fleet import FleetCollector
from telemetry.instruments import REGISTRY

log = logging.getLogger(__name__)

EVERY_S = 5.0


async def watch_fleet(fleet: Fleet) -> None:
    """Show the fleet for ever; a reading that fails leaves the last one, which grows old and is then shown no more."""
    collector = FleetCollector()
    REGISTRY.register(collector)
    try:
        while True:
            try:
                collector.show(await fleet.look())
            except Refused as trouble:
                log.warning("the fleet cannot be read: %s", trouble)
            except Exception:  # sessions must go on whatever is wrong with what is shown
                log.exception("the fleet cannot be read")
            await asyncio.sleep(EVERY_S)
    finally:
        REGISTRY.unregister(collector)
