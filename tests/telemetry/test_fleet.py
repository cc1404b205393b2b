"""The fleet's state is shown as it was read, and no longer than that is true."""

from prometheus_client import CollectorRegistry

from domain.fleet import FleetState
from telemetry.fleet import OLD_AFTER_S, FleetCollector
from telemetry.instruments import SPECS

STATE = FleetState(
    slots_free=1,
    slots_held=2,
    slots_away=3,
    servers_live=4,
    servers_draining=5,
    servers_silent=6,
    leases_held=7,
    sessions_created=8,
    sessions_started=9,
    waiting=10,
    webhooks_pending=11,
)


def shown(collector: FleetCollector) -> dict[str, float]:
    """What a scrape sees: values by name and label."""
    families = [family for family in collector.collect() if family.samples]
    assert {family.name for family in families} <= SPECS.keys()
    return {
        "/".join((sample.name.removeprefix("greenroom_fleet_"), *sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


def test_what_was_read_is_shown_until_it_is_old() -> None:
    """A worker whose database is away shows since when, instead of what was true then."""
    now = 1000.0
    collector = FleetCollector(lambda: now)
    CollectorRegistry().register(collector)
    assert shown(collector) == {}
    collector.show(STATE)
    assert shown(collector) == {
        "read_timestamp_seconds": 1000,
        "slots/free": 1,
        "slots/held": 2,
        "slots/away": 3,
        "servers/live": 4,
        "servers/draining": 5,
        "servers/silent": 6,
        "leases_held": 7,
        "sessions/created": 8,
        "sessions/started": 9,
        "waiting": 10,
        "webhooks_pending": 11,
    }
    now += OLD_AFTER_S + 1
    assert shown(collector) == {"read_timestamp_seconds": 1000}
