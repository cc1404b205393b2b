"""Creates by the hundred, and ends, on avatar servers without avatars: what is measured is everything but media."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from ulid import ULID

from api.temporal_calls import AT_ONCE
from bench.creates import mix_of
from bench.floors import fake_avatars
from bench.floors import temporal as floor
from bench.floors.processes import child
from bench.report import Goal, Row, row
from bench.site import PATIENCE_S, Site
from database.avatar_servers import AvatarServers
from database.engine import open_engine
from domain.rooms import AVATAR_IDENTITY

SLOTS = 200
TOO_MANY = 20
FREE_WITHIN_S = 60.0
AT_A_TIME = 8
"""Ends that tidy up after a round."""

Answers = list[httpx.Response]


@dataclass(frozen=True, kw_only=True)
class Fakes:
    """A system whose only free slots are those of servers without avatars."""

    site: Site
    http: httpx.AsyncClient
    servers: AvatarServers
    slots: int
    pid: int
    """Of the process of the servers without avatars."""

    async def creates(self, number: int) -> Answers:
        """So many creates at once, each for a room of its own, that wait for no slot."""
        return await asyncio.gather(*(self._create() for _ in range(number)))

    async def _create(self) -> httpx.Response:
        token = self.site.token(f"bench-{ULID()}", AVATAR_IDENTITY, avatar=True)
        room = {"platform": "livekit", "url": self.site.running.livekit_url, "token": token}
        wanted = {"avatar": self.site.avatar_id, "room": room, "wait_up_to": 0}
        return await self.http.post("/v1/sessions", json=wanted)

    async def end(self, session_id: str) -> float:
        """POST end; the milliseconds to its answer."""
        began = time.perf_counter()
        (await self.http.post(f"/v1/sessions/{session_id}/end")).raise_for_status()
        return (time.perf_counter() - began) * 1000

    async def end_all(self, answers: Answers) -> None:
        """End what was started, and wait until every slot is free again."""
        few = asyncio.Semaphore(AT_A_TIME)

        async def one(answer: httpx.Response) -> None:
            async with few:
                while True:  # the machine is still busy with what was given up
                    ended = await self.http.post(f"/v1/sessions/{session_of(answer)}/end")
                    if ended.status_code == httpx.codes.OK:
                        return
                    await asyncio.sleep(1)

        await asyncio.gather(*(one(answer) for answer in answers if answer.status_code == httpx.codes.CREATED))
        async with asyncio.timeout(FREE_WITHIN_S):
            while (await self.servers.capacity())[0] < self.slots:  # noqa: ASYNC110 - the database tells nobody
                await asyncio.sleep(0.2)


@asynccontextmanager
async def fake_servers(site: Site, slots: int = SLOTS, people: int = 0) -> AsyncIterator[Fakes]:
    """The system's own avatar server takes nothing meanwhile. `people` are in each room."""
    engine = open_engine(site.database)
    servers = AvatarServers(engine)
    own = [one.boot_id for one in await servers.listed() if one.live]
    told = (site.database, site.running.temporal_address, str(slots // fake_avatars.SERVERS), str(people))
    limits = httpx.Limits(max_connections=None)
    headers = {"x-api-key": site.running.api_key}
    async with (
        child("bench.floors.fake_avatars", *told) as fakes,
        httpx.AsyncClient(
            base_url=site.running.api_url, headers=headers, timeout=PATIENCE_S + 10, limits=limits
        ) as http,
    ):
        try:
            for boot_id in own:
                await servers.drain(boot_id)
            yield Fakes(site=site, http=http, servers=servers, slots=slots, pid=fakes.pid)
        finally:
            for boot_id in own:
                await servers.drain(boot_id, draining=False)
            await engine.dispose()


@asynccontextmanager
async def floors(site: Site) -> AsyncIterator[None]:
    """The workers of the bare workflows."""
    address = site.running.temporal_address
    async with child("bench.floors.temporal", address, "workflows"), child("bench.floors.temporal", address, "remote"):
        yield


async def measure_admission(site: Site, rounds: int, tell: Callable[[str], None]) -> list[Row]:
    """One row: creates a second of 200 at once. A round has 200 for as many slots, and then 220 for the same."""
    ours, bare = list[float](), list[float]()
    told: list[str] = []
    async with fake_servers(site) as fakes, floors(site):
        mix = await _mix(fakes)
        for number in range(rounds):
            tell(f"admission: round {number + 1} of {rounds}")
            await _admit(fakes, ours, told)
            began = time.perf_counter()
            await _floor(site, mix)
            bare.append(SLOTS / (time.perf_counter() - began))
    goal = Goal(least_ratio=0.8)
    name = f"{SLOTS} at once, update-with-start, steps {mix}"
    return [row("admission", ours, bare, unit="creates/s", reference_name=name, goal=goal, note=_note(told))]


async def admission_elsewhere(site: Site, rounds: int, tell: Callable[[str], None]) -> tuple[list[float], str]:
    """Creates a second and the answers in words, without a floor: for a system on another database."""
    rates, told = list[float](), list[str]()
    async with fake_servers(site) as fakes:
        await _mix(fakes)
        for number in range(rounds):
            tell(f"admission on PostgreSQL: round {number + 1} of {rounds}")
            await _admit(fakes, rates, told)
    return rates, _note(told)


async def _admit(fakes: Fakes, rates: list[float], told: list[str]) -> None:
    """One round: as many creates as there are slots, and then more than that."""
    began = time.perf_counter()
    answers = await fakes.creates(SLOTS)
    rates.append(made(answers) / (time.perf_counter() - began))
    slowest = max(answer.elapsed.total_seconds() for answer in answers)
    await fakes.end_all(answers)
    more = await fakes.creates(SLOTS + TOO_MANY)
    told.append(f"{said(more)} (of {SLOTS} alone: {said(answers)}, the last after {slowest:.1f} s)")
    await fakes.end_all(more)


def _note(told: list[str]) -> str:
    return f"{SLOTS + TOO_MANY} at once for {SLOTS} slots: " + "; ".join(told)


async def measure_ends(site: Site, rounds: int, tell: Callable[[str], None]) -> list[Row]:
    """One row: from POST end to its answer, beside an update of a workflow that does nothing."""
    ours, bare = list[float](), list[float]()
    async with fake_servers(site) as fakes, floors(site), floor.waiting(site.temporal) as update:
        for number in range(-1, rounds):
            tell(f"ends: round {number + 1} of {rounds}")
            [answer] = await fakes.creates(1)
            answer.raise_for_status()
            await asyncio.sleep(0.5)
            took = await fakes.end(session_of(answer))
            await asyncio.sleep(0.2)
            began = time.perf_counter()
            await update()
            nothing = (time.perf_counter() - began) * 1000
            if number >= 0:
                ours.append(took)
                bare.append(nothing)
    goal = Goal(more=50)
    return [row("end_answer", ours, bare, unit="ms", reference_name="an update that does nothing", goal=goal)]


async def _floor(site: Site, mix: str) -> None:
    """As many bare workflows, at the number under way at which the server is quickest."""
    few = asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        async with few:
            await floor.update_with_start(site.temporal, mix)

    await asyncio.gather(*(one() for _ in range(SLOTS)))


async def _mix(fakes: Fakes) -> str:
    """The steps of one create."""
    [answer] = await fakes.creates(1)
    answer.raise_for_status()
    history = await fakes.site.temporal.get_workflow_handle(session_of(answer)).fetch_history()
    await fakes.end_all([answer])
    return mix_of(history)


def session_of(answer: httpx.Response) -> str:
    """The session that was made."""
    return str(answer.json()["session"]["session_id"])


def made(answers: Answers) -> int:
    """How many sessions were started."""
    return sum(answer.status_code == httpx.codes.CREATED for answer in answers)


def said(answers: Answers) -> str:
    """How often which answer."""

    def code(answer: httpx.Response) -> str:
        if answer.status_code == httpx.codes.CREATED:
            return "201"
        error = answer.json()["error"]
        return f"{answer.status_code} {error['code'] if isinstance(error, dict) else error}"

    return ", ".join(f"{number} x {what}" for what, number in sorted(Counter(map(code, answers)).items()))
