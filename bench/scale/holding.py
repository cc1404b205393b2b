"""Sessions held for minutes: readings of each phase (idle, creating, holding, ending), and of sessions' histories."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from google.protobuf.timestamp_pb2 import Timestamp

from bench.admission import Answers, Fakes, fake_servers, made, said, session_of
from bench.postgresql import DURABLE, postgresql
from bench.scale.readings import Meters, Reading, size_of
from bench.site import Site, running_site
from database.engine import open_engine

IDLE_S = 20.0
SETTLE_S = 12.0
"""So long a waiting process of PostgreSQL may keep what it has counted."""
LOOK_EVERY_S = 5.0
AT_A_TIME = 8
LOOKED_AT = 20
"""Sessions whose histories are described."""
PEOPLE = 1

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be held."""

    sessions: int
    minutes: float
    database: str = "postgresql"
    """Or `sqlite`."""
    heartbeat_within: float = 3.0
    """Seconds."""

    @property
    def slots(self) -> int:
        """As many, on two servers."""
        return self.sessions + self.sessions % 2


@dataclass(frozen=True, kw_only=True)
class History:
    """What Temporal keeps of one session, by the mean of some."""

    events: float
    bytes: float
    transitions: float
    """With one for each heartbeat."""
    seconds: float
    """From its start to its close, or until now."""


@dataclass(kw_only=True)
class Seen:
    """All that was read. The phases are bounded by readings with counts."""

    wanted: Wanted
    idle: tuple[Reading, Reading]
    creating_s: float
    looks: list[Reading] = field(default_factory=list)
    """While they were held; the first, each minute's first and the last have counts."""
    waited_s: float
    """From the last of these to the first end."""
    ending_s: float
    ended: Reading
    held: History
    closed: History


@asynccontextmanager
async def observed(wanted: Wanted, folder: Path) -> AsyncIterator[tuple[Fakes, Meters]]:
    """A system on SQLite or PostgreSQL with slots of servers without avatars, and what looks at it."""
    with ExitStack() as stack:
        server = stack.enter_context(postgresql(settings=DURABLE)) if wanted.database == "postgresql" else None
        url = server.url("postgres") if server else ""
        async with (
            running_site(folder, database=url, heartbeat_within_s=f"{wanted.heartbeat_within:g}") as site,
            fake_servers(site, wanted.slots, PEOPLE) as fakes,
        ):
            running = site.running
            parts: dict[str, Callable[[], int | None]] = {
                "api": lambda: running.pid("api"),
                "sessions worker": lambda: running.pid("sessions"),
                "temporal": lambda: running.pid("temporal"),
            }
            if server:
                parts["database"] = lambda: server.pid
            parts["fake avatar servers"] = lambda: fakes.pid
            engine = open_engine(site.database)
            try:
                yield fakes, _Meters(parts, engine, site)
            finally:
                await engine.dispose()


class _Meters(Meters):
    """Counts the bytes of files as well."""

    def __init__(self, parts: Mapping[str, Callable[[], int | None]], engine: object, site: Site) -> None:
        port = site.running.site.ports.temporal_metrics
        super().__init__(parts, engine, f"http://127.0.0.1:{port}/metrics")  # type: ignore[arg-type]
        self._folder = site.running.data_dir

    async def counts(self) -> dict[str, float]:
        found = await super().counts() | {"temporal bytes": size_of(self._folder, "temporal.db")}
        return {"database bytes": size_of(self._folder, "greenroom.db")} | found


async def hold(wanted: Wanted, folder: Path, tell: Tell) -> Seen:
    """Create so many, hold them for so long, end them. RuntimeError where not all could be created."""
    async with observed(wanted, folder) as (fakes, meters):
        [first] = await fakes.creates(1)  # what is made once is made now
        await fakes.end_all([first])
        tell("hold: idle")
        before = await meters.look(count=True)
        await asyncio.sleep(IDLE_S)
        idle = (before, await meters.look(count=True))
        began = time.monotonic()
        answers = await _create(fakes, wanted.sessions, tell)
        creating_s = time.monotonic() - began
        looks = await _watch(meters, wanted.minutes, tell)
        held = await _histories(fakes.site, answers)
        tell("hold: ending")
        waited_s = time.monotonic() - looks[-1].at
        await fakes.end_all(answers)
        ending_s = time.monotonic() - looks[-1].at - waited_s
        await asyncio.sleep(SETTLE_S)
        ended = await meters.look(count=True)
        closed = await _histories(fakes.site, answers)
    return Seen(
        wanted=wanted,
        idle=idle,
        creating_s=creating_s,
        looks=looks,
        waited_s=waited_s,
        ending_s=ending_s,
        ended=ended,
        held=held,
        closed=closed,
    )


async def _create(fakes: Fakes, sessions: int, tell: Tell) -> Answers:
    few = asyncio.Semaphore(AT_A_TIME)

    async def one() -> httpx.Response:
        async with few:
            [answer] = await fakes.creates(1)
            return answer

    tell(f"hold: creating {sessions}")
    answers = await asyncio.gather(*(one() for _ in range(sessions)))
    if made(answers) != sessions:
        raise RuntimeError(f"not all sessions were created: {said(answers)}")
    return answers


async def _watch(meters: Meters, minutes: float, tell: Tell) -> list[Reading]:
    """Readings every five seconds, with counts at each minute's beginning and at the end."""
    await asyncio.sleep(SETTLE_S)
    began, looks = time.monotonic(), [await meters.look(count=True)]
    counted = 0
    while (since := time.monotonic() - began) < minutes * 60:
        await asyncio.sleep(min(LOOK_EVERY_S, minutes * 60 - since))
        minute = int((time.monotonic() - began) / 60)
        whole = time.monotonic() - began >= minutes * 60
        looks.append(await meters.look(count=whole or minute > counted))
        if minute > counted:
            counted = minute
            tell(f"hold: {minute} of {minutes:g} minutes")
    return looks


def _now() -> Timestamp:
    now = Timestamp()
    now.GetCurrentTime()
    return now


async def _histories(site: Site, answers: Answers) -> History:
    """The mean of some sessions' histories."""
    looked = [session_of(answer) for answer in answers[:: max(len(answers) // LOOKED_AT, 1)]]
    infos = [
        (await site.temporal.get_workflow_handle(one).describe()).raw_description.workflow_execution_info
        for one in looked
    ]
    spans = [(one.close_time if one.HasField("close_time") else _now(), one.start_time) for one in infos]
    return History(
        events=sum(one.history_length for one in infos) / len(infos),
        bytes=sum(one.history_size_bytes for one in infos) / len(infos),
        transitions=sum(one.state_transition_count for one in infos) / len(infos),
        seconds=sum((until.ToNanoseconds() - since.ToNanoseconds()) / 1e9 for until, since in spans) / len(spans),
    )
