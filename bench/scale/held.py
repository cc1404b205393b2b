"""What a hold showed: the cost of a create, of a second of holding and of an end, and whether anything grew."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.scale.flat import Slope, Verdict, slope, verdict
from bench.scale.holding import History, Seen
from bench.scale.readings import Reading

WARM_S = 60.0
"""After the creates a process still takes memory, or gives some back: the slope begins then."""
LEAST_S = 120.0
"""Nothing is said of a slope over less."""
GROWS_MB = 0.5
GROWS_SHARE = 0.005
"""A part is flat if it surely grows by less than half a megabyte or half a percent a minute, whichever is more."""
KB = 1024.0


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of the system."""

    idle_mb: float
    begin_mb: float
    end_mb: float
    minutes_mb: tuple[float, ...]
    """The mean of each minute."""
    idle_cores: float
    minutes_cores: tuple[float, ...]
    kb_per_session: float
    """Of what it grew from idle to the end of the hold."""
    core_ms_per_session_s: float
    """CPU milliseconds for each second of each session, above idle."""
    create_ms: float
    end_ms: float
    """CPU of one create and one end, above idle."""
    slope_mb: Slope
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Held:
    """The whole hold."""

    sessions: int
    database: str
    heartbeat_within: float
    """Seconds."""
    seconds: float
    creating_s: float
    parts: Mapping[str, Part]
    per_second: Mapping[str, float]
    """Of all counters while the sessions were held."""
    idle_per_second: Mapping[str, float]
    per_create: Mapping[str, float]
    per_end: Mapping[str, float]
    """One session's share above idle."""
    held: History
    closed: History

    @property
    def growing(self) -> list[str]:
        """The parts that surely grow."""
        return [name for name, part in self.parts.items() if part.verdict == "grows"]


def held(seen: Seen) -> Held:
    """The sums."""
    first, last, wanted = seen.looks[0], seen.looks[-1], seen.wanted
    costs = {name: _cost(seen, lambda one, name=name: one.counts[name]) for name in first.counts}  # type: ignore[misc]
    return Held(
        sessions=wanted.sessions,
        database=wanted.database,
        heartbeat_within=wanted.heartbeat_within,
        seconds=last.at - first.at,
        creating_s=seen.creating_s,
        parts={name: _part(seen, name) for name in first.cpu_s},
        per_second={name: cost.held for name, cost in costs.items()},
        idle_per_second={name: cost.idle for name, cost in costs.items()},
        per_create={name: cost.create for name, cost in costs.items()},
        per_end={name: cost.end for name, cost in costs.items()},
        held=seen.held,
        closed=seen.closed,
    )


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of something that adds up: a second of the idle system, a second with the sessions, one create and one end."""

    idle: float
    held: float
    create: float
    end: float


def _cost(seen: Seen, of: Callable[[Reading], float]) -> Cost:
    """What is counted while sessions begin or end is less by what the idle system, and those that are there, need."""
    sessions, first, last = seen.wanted.sessions, seen.looks[0], seen.looks[-1]
    idle, now = _rate(*seen.idle, of), _rate(first, last, of)
    each = (now - idle) / sessions
    begun = of(first) - of(seen.idle[1]) - idle * (first.at - seen.idle[1].at)
    over = of(seen.ended) - of(last) - idle * (seen.ended.at - last.at)
    there = first.at - seen.idle[1].at - seen.creating_s / 2
    return Cost(
        idle=idle,
        held=now,
        create=max(begun / sessions - each * there, 0),
        end=max(over / sessions - each * (seen.waited_s + seen.ending_s / 2), 0),
    )


def _rate(first: Reading, last: Reading, of: Callable[[Reading], float]) -> float:
    return (of(last) - of(first)) / (last.at - first.at)


def _part(seen: Seen, name: str) -> Part:
    first, last, sessions = seen.looks[0], seen.looks[-1], seen.wanted.sessions
    idle_mb = seen.idle[1].memory_mb[name]
    long_enough = last.at - first.at >= WARM_S + LEAST_S
    judged = [one for one in seen.looks if one.at - first.at >= WARM_S] if long_enough else seen.looks
    grows = slope([one.at for one in judged], [one.memory_mb[name] for one in judged])
    allowed = max(GROWS_MB, GROWS_SHARE * first.memory_mb[name])
    minutes = _minutes(seen.looks)
    cpu = _cost(seen, lambda one: one.cpu_s[name])
    return Part(
        idle_mb=idle_mb,
        begin_mb=first.memory_mb[name],
        end_mb=last.memory_mb[name],
        minutes_mb=tuple(sum(one.memory_mb[name] for one in some) / len(some) for some in minutes),
        idle_cores=cpu.idle,
        minutes_cores=tuple(_rate(some[0], some[-1], lambda one: one.cpu_s[name]) for some in minutes),
        kb_per_session=max(last.memory_mb[name] - idle_mb, 0) * KB / sessions,
        core_ms_per_session_s=max(cpu.held - cpu.idle, 0) * 1000 / sessions,
        create_ms=cpu.create * 1000,
        end_ms=cpu.end * 1000,
        slope_mb=grows,
        verdict=verdict(grows, allowed) if long_enough else "unclear",
    )


def _minutes(looks: Sequence[Reading]) -> list[list[Reading]]:
    """The readings of each minute, both ends included; the minutes are stretched until they fill the time."""
    number = max(round((looks[-1].at - looks[0].at) / 60), 1)
    length = (looks[-1].at - looks[0].at) / number
    bounds = [(looks[0].at + length * n, looks[0].at + length * (n + 1)) for n in range(number)]
    return [[one for one in looks if low - 1e-6 <= one.at <= high + 1e-6] for low, high in bounds]
