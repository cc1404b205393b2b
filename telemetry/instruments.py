"""Makes metrics on one registry and remembers what each is, so that tests and documents can ask. Opens no port."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

PREFIX: Final = "greenroom_"
REGISTRY: Final = CollectorRegistry()
"""What this process exposes; not the library's global one, which any package may add to."""

# A moment of birth beside each counter: twice the series, for something that nobody asks.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
ProcessCollector(registry=REGISTRY)


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What a metric is."""

    name: str
    kind: str
    """`counter`, `gauge` or `histogram`."""
    labels: tuple[str, ...]
    roles: tuple[str, ...]
    """Who exposes it: `api`, `sessions`, `faces`, `avatar`."""
    help: str

    @property
    def series(self) -> frozenset[str]:
        """The names that it has in Prometheus."""
        if self.kind == "histogram":
            return frozenset({f"{self.name}_bucket", f"{self.name}_sum", f"{self.name}_count"})
        return frozenset({self.name})


SPECS: Final[dict[str, Spec]] = {}
"""Every metric of ours by its name."""


def counter(name: str, text: str, *, roles: Sequence[str], labels: Sequence[str] = ()) -> Counter:
    """A counter; its name ends in `_total`."""
    _remember(name, "counter", text, roles, labels)
    return Counter(name.removesuffix("_total"), text, labels, registry=REGISTRY)


def gauge(name: str, text: str, *, roles: Sequence[str], labels: Sequence[str] = ()) -> Gauge:
    """A gauge."""
    _remember(name, "gauge", text, roles, labels)
    return Gauge(name, text, labels, registry=REGISTRY)


def collected(name: str, text: str, *, roles: Sequence[str], labels: Sequence[str] = ()) -> Spec:
    """A gauge whose values a collector brings with each scrape."""
    return _remember(name, "gauge", text, roles, labels)


def histogram(
    name: str, text: str, buckets: Sequence[float], *, roles: Sequence[str], labels: Sequence[str] = ()
) -> Histogram:
    """A histogram; `buckets` are upper bounds."""
    _remember(name, "histogram", text, roles, labels)
    return Histogram(name, text, labels, registry=REGISTRY, buckets=tuple(buckets))


def _remember(name: str, kind: str, text: str, roles: Sequence[str], labels: Sequence[str]) -> Spec:
    spec = SPECS[name] = Spec(name=name, kind=kind, labels=tuple(labels), roles=tuple(roles), help=text)
    return spec
