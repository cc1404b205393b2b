"""What the process that runs the tests has counted since a moment."""

from telemetry.instruments import REGISTRY


class Counted:
    """Counters and histograms of this process, since it was made; names without `greenroom_`, then labels' values."""

    def __init__(self) -> None:
        self._before = self._all()

    def __getitem__(self, name: str) -> float:
        return self._all().get(name, 0) - self._before.get(name, 0)

    def since(self, name: str) -> dict[str, float]:
        """What has grown of a metric, by name and labels."""
        grown = {one: value - self._before.get(one, 0) for one, value in self._all().items()}
        return {one: value for one, value in grown.items() if value and one.startswith(name)}

    def _all(self) -> dict[str, float]:
        return {
            "/".join((sample.name.removeprefix("greenroom_"), *sample.labels.values())): sample.value
            for family in REGISTRY.collect()
            for sample in family.samples
        }
