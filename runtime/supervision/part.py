"""What a supervisor must know about one child process; it starts nothing."""

import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from runtime.supervision.readiness import Ready


class PartFailedError(Exception):
    """A part did not become ready; the message names it and ends with its last lines."""


@dataclass(frozen=True, kw_only=True)
class BackOff:
    """How long a dead part stays down: doubling from `first_s` to `most_s`; forgotten after `calm_s` of being ready."""

    first_s: float = 0.2
    """The wait after the first death."""

    most_s: float = 10.0
    """The longest wait."""

    calm_s: float = 30.0
    """A part that was ready for so long begins again at `first_s`."""

    def after(self, deaths: int) -> float:
        """The wait after so many deaths in a row, at least one."""
        return float(min(self.most_s, self.first_s * 2 ** min(deaths - 1, 30)))


@dataclass(frozen=True, kw_only=True)
class Part:
    """One child process. It must watch the life line: see `python_part` and `foreign_part`."""

    name: str
    """What people call it, and its log: `<name>.log`."""

    command: tuple[str, ...]
    """Program and arguments."""

    environ: Mapping[str, str]
    """Its whole environment."""

    ready: Ready
    """When it counts as ready."""

    foreign: bool = False
    """It is a launcher and its binary: signals go to both, and neither outlives the other."""

    ready_within_s: float = 60.0
    """A part that takes longer is ended and started again."""

    stop_signal: signal.Signals = signal.SIGTERM
    """How it is asked to end."""

    stop_within_s: float = 10.0
    """How long it may take to end before it is killed."""

    back_off: BackOff = field(default_factory=BackOff)
    """When it is started again after a death."""


def python_part(module: str, *arguments: str) -> tuple[str, ...]:
    """The command of a Python module that ends with its supervisor."""
    return (sys.executable, "-m", "runtime.lifeline", module, *arguments)


def foreign_part(binary: str, *arguments: str, end: str = "TERM") -> tuple[str, ...]:
    """The command of a foreign binary under the launcher, which sends it `end` (TERM, KILL) when we are gone."""
    return (sys.executable, "-m", "runtime.launcher", "--end", end, "--", binary, *arguments)
