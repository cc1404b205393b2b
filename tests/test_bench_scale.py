"""The bench of many sessions: its slopes, its sums, what it reads of processes and histories, and its model."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import pytest
from click.testing import CliRunner

from bench import model
from bench.report import Goal, beside, row
from bench.scale.arithmetic import Asked, fleet
from bench.scale.flat import Slope, slope, verdict
from bench.scale.held import held
from bench.scale.holding import History, Seen, Wanted
from bench.scale.ladder import ladder_of
from bench.scale.readings import Reading, cpu_with_children, memory_of, temporal_counts, tree
from bench.scale.words import markdown

SESSIONS = 100
HISTORY = History(events=40, bytes=14_000, transitions=60, seconds=20)


def reading(at: float, *, memory: float = 100, cpu: float = 0, rows: float = 0) -> Reading:
    """A look at a system of one part."""
    counts = {"rows": rows, "transitions": rows, "commits": rows, "database bytes": rows}
    return Reading(at=at, memory_mb={"api": memory}, cpu_s={"api": cpu}, counts=counts)


def seen(*, leak: float = 0, minutes: int = 5) -> Seen:
    """A hundred sessions: 2 rows a second while idle, 10 a create, 1 a session and second, 5 an end.

    20 s idle, created within 10 s, held from 10 s after that on, ended within 10 s, and read at once.
    """

    def rows(at: float) -> float:
        session_s = SESSIONS * (min(max(at - 20, 0), 10) / 2 * (at >= 30) + max(min(at, 40 + 60 * minutes) - 30, 0))
        return 2 * at + (at >= 30) * 10 * SESSIONS + session_s

    def look(at: float) -> Reading:
        noise = math.sin(at) / 10
        return reading(at, memory=100 + leak * max(at - 40, 0) / 60 + noise, cpu=rows(at) / 1000, rows=rows(at))

    last = 40 + 60 * minutes
    end = reading(last + 10, rows=rows(last) + 20 + 5 * SESSIONS + SESSIONS * 5, cpu=rows(last) / 1000)
    return Seen(
        wanted=Wanted(sessions=SESSIONS, minutes=minutes),
        idle=(look(0), look(20)),
        creating_s=10,
        looks=[look(40 + 5 * number) for number in range(12 * minutes + 1)],
        waited_s=0,
        ending_s=10,
        ended=end,
        held=HISTORY,
        closed=HISTORY,
    )


def test_a_slope_is_as_sure_as_its_samples_are_independent() -> None:
    """A line is found exactly; noise that its neighbours share widens the bounds."""
    times = [5.0 * number for number in range(60)]
    exact = slope(times, [100 + at / 30 for at in times])
    assert exact.per_minute == pytest.approx(2)
    assert exact.high - exact.low < 1e-6
    quick = slope(times, [math.cos(3 * at) for at in times])
    slow = slope(times, [math.cos(at / 20) for at in times])
    assert quick.low < 0 < quick.high
    assert slow.high - slow.low > 3 * (quick.high - quick.low)
    with pytest.raises(ValueError, match="four"):
        slope([1, 2, 3], [1, 2, 3])


@pytest.mark.parametrize(
    ("found", "said"), [((0.6, 0.9), "grows"), ((-0.2, 0.4), "flat"), ((-5.0, -3.0), "flat"), ((0.3, 0.9), "unclear")]
)
def test_flat_is_what_surely_does_not_grow(found: tuple[float, float], said: str) -> None:
    """By more than the tolerance, which is 0.5 here."""
    low, high = found
    assert verdict(Slope(per_minute=(low + high) / 2, low=low, high=high), 0.5) == said


def test_a_hold_tells_creating_from_holding_from_ending() -> None:
    """What the idle system and the sessions that are there need meanwhile is not put down to creates and ends."""
    found = held(seen())
    assert found.idle_per_second["rows"] == pytest.approx(2)
    assert found.per_second["rows"] == pytest.approx(2 + SESSIONS)
    assert found.per_create["rows"] == pytest.approx(10)
    assert found.per_end["rows"] == pytest.approx(5)
    assert found.parts["api"].core_ms_per_session_s == pytest.approx(1)
    assert found.parts["api"].create_ms == pytest.approx(10)
    assert len(found.parts["api"].minutes_mb) == 5


@pytest.mark.parametrize(("leak", "minutes", "said"), [(0, 5, "flat"), (3, 5, "grows"), (3, 1, "unclear")])
def test_a_part_that_grows_is_named(leak: float, minutes: int, said: str) -> None:
    """Three megabytes a minute are seen in five minutes; of one minute nothing is said."""
    found = held(seen(leak=leak, minutes=minutes))
    assert found.parts["api"].verdict == said
    assert found.growing == (["api"] if said == "grows" else [])
    assert ("Not flat: api." in markdown(found)) == (said == "grows")


def test_a_process_is_looked_at_with_its_children() -> None:
    """This one has memory and has worked; one that is gone has neither."""
    assert os.getpid() in tree(os.getppid())
    assert memory_of(os.getpid()) > 10
    assert cpu_with_children(os.getpid()) > 0
    assert tree(None) == []
    assert memory_of(2**22 + 1) == cpu_with_children(2**22 + 1) == 0


def test_temporals_page_is_summed() -> None:
    """Heartbeats among the requests of clients; transitions by their number, not by their sum."""
    page = """
# TYPE service_requests counter
service_requests{operation="RecordActivityTaskHeartbeat",service_name="frontend"} 5
service_requests{operation="RecordActivityTaskHeartbeat",service_name="history"} 5
service_requests{operation="StartWorkflowExecution",service_name="frontend"} 2
# TYPE persistence_requests counter
persistence_requests{operation="GetOrCreateShard"} 3
persistence_requests{operation="UpdateWorkflowExecution"} 4
# TYPE state_transition_count histogram
state_transition_count_bucket{le="+Inf"} 6
state_transition_count_sum 600
state_transition_count_count 6
"""
    assert temporal_counts(page) == {"heartbeats": 5, "requests": 7, "store requests": 7, "transitions": 6}


def test_a_session_is_counted_in_its_committed_history() -> None:
    """The model cannot fall behind the workflow: it reads what the replay tests hold it to."""
    one = ladder_of()
    assert one.events > 30
    assert (one.remote_steps, one.signals, one.slice_steps) == (2, 2, 0)
    assert one.local_steps >= 6
    assert one.actions < one.events
    assert ladder_of("an_hour").slice_steps > 0


def test_what_was_measured_is_near_what_the_history_shows() -> None:
    """A hold from before a change of the workflow has to be measured again."""
    for one in measured():
        assert one["closed"]["events"] == pytest.approx(ladder_of().events, rel=0.25)


def measured() -> Sequence[Mapping[str, Any]]:
    """The committed holds."""
    return [json.loads(one.read_text()) for one in model.MEASURED]


def figures(**asked: float) -> Mapping[str, float]:
    """The model of ten thousand sessions, by name."""
    wanted = replace(Asked(sessions=10_000, minutes=10), **asked)
    return {one.name: one.value for one in fleet(wanted, ladder_of(), measured())}


def test_the_model_multiplies() -> None:
    """Ten times the sessions need ten times as much; each setting moves what it should, and nothing else."""
    usual = figures()
    assert usual["starts"] == pytest.approx(10_000 / 600)
    assert usual["heartbeats"] == 10_000
    assert usual["renewed leases"] == 10_000
    more = figures(sessions=100_000)
    whole = {"API processes, one core each"}
    assert all(more[name] == pytest.approx(10 * usual[name]) for name in usual.keys() - whole)
    assert moved(heartbeat_within=15) == {
        "heartbeats", "Temporal actions", "state transitions", "state transitions a shard", "CPU of temporal",
    }  # fmt: skip
    assert moved(slots=20) == {"avatar servers", "renewals", "transactions"}
    assert moved(shards=4096) == {"state transitions a shard"}
    assert moved(cached=2000) == {"sessions workers, by their cache"}
    assert figures(heartbeat_within=15)["heartbeats"] == 2000


def test_the_model_gives_back_what_was_held() -> None:
    """Asked for the holds themselves, without creates and ends: heartbeats, transitions, and the busier one's cores."""
    for one in measured():
        lasting = figures(sessions=one["sessions"], minutes=1e9, heartbeat_within=one["heartbeat_within"])
        assert lasting["heartbeats"] == pytest.approx(one["per_second"]["heartbeats"], rel=0.05)
        assert lasting["state transitions"] == pytest.approx(one["per_second"]["transitions"], rel=0.05)
    busiest = measured()[0]
    cores = busiest["sessions"] * busiest["parts"]["temporal"]["core_ms_per_session_s"] / 1000
    assert figures(sessions=busiest["sessions"], minutes=1e9)["CPU of temporal"] == pytest.approx(cores, rel=1e-6)


def test_one_hold_cannot_say_what_heartbeats_cost() -> None:
    """It is a usage error that says what is needed."""
    done = CliRunner().invoke(model.main, ["--measured", str(model.MEASURED[0])])
    assert done.exit_code == 2
    assert "two holds" in done.output


def moved(**asked: float) -> set[str]:
    """What a setting changes."""
    usual, now = figures(), figures(**asked)
    return {name for name, value in usual.items() if now[name] != pytest.approx(value)}


@pytest.mark.parametrize("arguments", [["--sessions", "100000", "--json"], ["--minutes", "30"]])
def test_the_model_is_printed(arguments: Sequence[str]) -> None:
    """As JSON for scripts, as Markdown for docs/scale.md."""
    done = CliRunner().invoke(model.main, arguments)
    assert done.exit_code == 0, done.output
    if "--json" in arguments:
        assert json.loads(done.output)["figures"]["starts"]["value"] == pytest.approx(166.67, rel=1e-3)
    else:
        assert "| heartbeats | 10,000 /s | computed |" in done.output


def test_the_same_elsewhere_has_no_goal() -> None:
    """Its reference is the median of the other place, round for round of the same run."""
    there = row("a_thing", [4.0, 2.0, 3.0], [1.0, 1.0], unit="ms", reference_name="least", goal=Goal(ratio=1))
    here = beside("a_thing_here", [6.0, 6.0], there, what="there")
    assert (here.value, here.reference, here.ratio, here.goal) == (6.0, 3.0, 2.0, "")


def test_a_hold_can_be_saved_for_the_model() -> None:
    """The file has all that the model asks for."""
    saved = json.loads(json.dumps(asdict(held(seen()))))
    assert saved.keys() >= {"per_second", "idle_per_second", "per_create", "per_end", "parts", "closed", "sessions"}
    assert all(saved.keys() == one.keys() for one in measured())
