"""Shows what is known of this process with each scrape: its boot id may be chosen after the first one."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from telemetry.about import process
from telemetry.metrics import PROCESS


class ProcessInfo(Collector):
    """One series."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """1, under this process's role and boot id."""
        family = GaugeMetricFamily(PROCESS.name, PROCESS.help, labels=PROCESS.labels)
        family.add_metric([process().get(name, "") for name in PROCESS.labels], 1)
        yield family
