"""The whole fleet in numbers: what operators watch."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FleetState:
    """How many there are of what, at one moment."""

    slots_free: int
    """On servers that take sessions now."""
    slots_held: int
    slots_away: int
    """Free, but on servers that are silent or draining."""
    servers_live: int
    servers_draining: int
    servers_silent: int
    """Remembered, and not heard of for three seconds or more."""
    leases_held: int
    sessions_created: int
    """Admitted, and still starting."""
    sessions_started: int
    waiting: int
    """Creates in line."""
    webhooks_pending: int
    """Events for which no workflow has been started."""
