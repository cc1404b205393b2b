"""Shows the fleet's state, as it was last read, with each scrape; one that is old is not shown."""

import time
from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from domain.fleet import FleetState
from telemetry import metrics
from telemetry.instruments import Spec

OLD_AFTER_S = 30.0


class FleetCollector(Collector):
    """What every sessions worker shows alike: whoever adds several up counts the same thing several times."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._seen: tuple[float, FleetState] | None = None

    def show(self, state: FleetState) -> None:
        """Take what was just read."""
        self._seen = (self._clock(), state)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges; none of them after 30 s without a reading, but when that was."""
        if self._seen is None:
            return
        at, state = self._seen
        yield _family(metrics.FLEET_READ, {"": at})
        if self._clock() - at > OLD_AFTER_S:
            return
        yield _family(
            metrics.FLEET_SLOTS, {"free": state.slots_free, "held": state.slots_held, "away": state.slots_away}
        )
        servers = {"live": state.servers_live, "draining": state.servers_draining, "silent": state.servers_silent}
        yield _family(metrics.FLEET_SERVERS, servers)
        yield _family(metrics.FLEET_LEASES, {"": state.leases_held})
        sessions = {"created": state.sessions_created, "started": state.sessions_started}
        yield _family(metrics.FLEET_SESSIONS, sessions)
        yield _family(metrics.FLEET_WAITING, {"": state.waiting})
        yield _family(metrics.FLEET_WEBHOOKS, {"": state.webhooks_pending})


def _family(spec: Spec, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(spec.name, spec.help, labels=spec.labels)
    for label, value in values.items():
        family.add_metric([label] if spec.labels else [], value)
    return family
