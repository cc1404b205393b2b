"""What every fault test does: a session that is watched, a create at a chosen moment, and a look at what is left."""

import asyncio
import itertools
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.service import RPCError

from support.auditor import Auditor, breaches, staged_owners
from support.fault_database import SQLITE, FaultDatabase
from support.fault_processes import is_connected
from support.real_system import Answer, Live, RealSystem, new_room
from support.room_viewer import RoomViewer
from support.steadiness import check_gap
from support.tokens import AVATAR_IDENTITY

WITHIN_S = 30.0
"""Design rule 27: within this time of the fault a session is started or ended."""
RATIO = "4:3"
MISREAD = 500
"""Of so many pictures one, damaged on a busy machine, may show a wrong marker: a parity bit misses two wrong bits."""


@dataclass(kw_only=True)
class Case:
    """What one case found, for the table."""

    what: str
    when: str
    database: str = SQLITE
    held: str = ""
    steady_s: float | None = None
    """From the fault until everything was as it should be."""
    gap_s: float | None = None
    """The longest time between two frames at the viewer."""
    gap_after_s: float | None = None
    """When that began: seconds from the fault, negative before it."""
    began: float = field(default_factory=time.monotonic)
    load: float = field(default_factory=lambda: os.getloadavg()[0])
    """Of the machine when the case began, over a minute: beyond its cores, others were at work."""
    tries: int = 1
    """A frozen picture is looked at again (`three_tries`)."""

    def fault_now(self) -> None:
        """The fault happens now."""
        self.began = time.monotonic()

    def since_fault(self) -> float:
        """Seconds since the fault."""
        return time.monotonic() - self.began

    def steady(self, held: str) -> None:
        """Everything is as it should be; what that means."""
        self.held, self.steady_s = held, self.since_fault()


class Bench:
    """One system, its auditor and the case that is being tried on it."""

    def __init__(self, system: RealSystem, database: FaultDatabase, auditor: Auditor, case: Case) -> None:
        self.system = system
        self.database = database
        self.auditor = auditor
        self.case = case

    async def whole(self, within_s: float = 20.0) -> None:
        """Wait until the auditor finds nothing, and every slot is free for the next case.

        What the auditor still finds after `within_s` seconds is the failure.
        """
        until = time.monotonic() + within_s
        while found := breaches(await self.auditor.facts()):
            assert time.monotonic() < until, "\n".join(found)
            await asyncio.sleep(0.5)
        await self.system.wait_released()

    async def seen(self, session_id: str) -> Answer | None:
        """The session by the API; None where it does not answer just now."""
        try:
            answer = await self.system.call("GET", f"/v1/sessions/{session_id}", timeout=6)
        except httpx.TransportError:
            return None
        return dict(answer.json()["session"]) if answer.status_code == 200 else None

    async def until_seen(self, session_id: str, wanted: Callable[[Answer], bool]) -> Answer:
        """Wait until the session is as wanted, until 30 s after the fault."""
        last: Answer | None = None
        while self.case.since_fault() < WITHIN_S:
            last = await self.seen(session_id)
            if last is not None and wanted(last):
                return last
            await asyncio.sleep(0.1)
        raise AssertionError(f"after {WITHIN_S:.0f} s the session is {last}")

    async def ended(self, session_id: str, reasons: Collection[str]) -> Answer:
        """Wait until the session has ended, for one of these reasons."""
        session = await self.until_seen(session_id, lambda one: one["status"] == "ended")
        assert session["end_reason"] in reasons, session
        return session

    async def ask_for_end(self, session_id: str, key: str = "") -> httpx.Response | None:
        """One request to end; None if the connection broke."""
        try:
            return await self.system.call("POST", f"/v1/sessions/{session_id}/end", key=key, timeout=10)
        except httpx.TransportError:
            return None

    async def end_now(self, session_id: str) -> None:
        """End; answered at once, whatever is away."""
        answer = await self.ask_for_end(session_id)
        assert said_by(answer) == "200"

    async def end_at_last(self, session_id: str) -> Answer:
        """End as a client that repeats what was not answered, until 30 s after the fault."""
        answer = None
        while self.case.since_fault() < WITHIN_S:
            answer = await self.ask_for_end(session_id)
            if answer is not None and answer.status_code == 200:
                return dict(answer.json()["session"])
            await asyncio.sleep(0.2)
        raise AssertionError(f"the end is not answered: {answer and answer.text}")

    async def create(self, avatar: str, room: str, base: str = "", **how: Any) -> httpx.Response | None:
        """One create for a new participant of a room; None if the connection broke."""
        return await self.send(avatar, self.system.room(room=room), base, **how)

    async def send(self, avatar: str, room: Answer, base: str = "", **how: Any) -> httpx.Response | None:
        """One create, which is repeated by sending the same; None if the connection broke."""
        try:
            return await self.system.create(avatar, room, aspect_ratio=RATIO, base=base, **how)
        except httpx.TransportError:
            return None

    async def create_works(self, avatar: str) -> None:
        """A new create, repeated while it is refused with 503, works within 30 s of the fault; it is ended again."""
        while True:
            answer = await self.create(avatar, new_room())
            if answer is not None and answer.status_code == 201:
                break
            assert self.case.since_fault() < WITHIN_S, f"no create works: {answer and answer.text}"
            assert answer is None or answer.status_code == 503, answer.text
            await asyncio.sleep(0.3)
        assert self.case.since_fault() < WITHIN_S
        body = answer.json()
        assert body["usage"]["concurrency"]["current"] == self.sessions_open()
        await self.end_at_last(body["session"]["session_id"])

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of the database, by another way than the product's."""
        return self.database.rows(query, *values)

    def sessions_open(self) -> int:
        """Sessions that have not ended."""
        return int(self.rows("SELECT count(*) FROM sessions WHERE ended_at IS NULL")[0][0])

    def sessions_holding(self) -> int:
        """Leases that are held."""
        return int(self.rows("SELECT count(*) FROM leases WHERE revoked_at IS NULL")[0][0])

    def newest_end(self) -> str:
        """How the session that was created last ended."""
        rows = self.rows("SELECT end_reason FROM sessions ORDER BY created_at DESC LIMIT 1")
        return str(rows[0][0]) if rows else "none"

    async def wait_until(self, moment: str, spare: int, within_s: float = 15.0) -> None:
        """Wait for a moment in the only create that is under way.

        `aligning`: a faces worker is at its picture; `joining`: it has a lease and is not started; `in the room`: its
        media process, which was the `spare`, has opened its connection.
        """
        async with asyncio.timeout(within_s):
            while not await self._is_now(moment, spare):  # noqa: ASYNC110 - nobody signals it
                await asyncio.sleep(0.002)

    async def _is_now(self, moment: str, spare: int) -> bool:
        if moment == "aligning":
            return await self._aligns()
        if moment == "in the room":
            return is_connected(spare, self.system.running.site.ports.livekit)
        query = "SELECT 1 FROM sessions JOIN leases USING (session_id) WHERE status = 'created' AND revoked_at IS NULL"
        return bool(self.rows(query))

    async def _aligns(self) -> bool:
        for owner in staged_owners(self.system.folder / "objects"):
            try:
                found = await self.system.temporal.get_workflow_handle(owner).describe()
            except RPCError:
                continue  # staged, and not started yet
            pending = found.raw_description.pending_activities
            started = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
            return any(one.activity_type.name == "align_face" and one.state == started for one in pending)
        return False

    @asynccontextmanager
    async def live(self, avatar: str, url: str = "", **how: Any) -> AsyncIterator[Live]:
        """A session with a viewer who saw a second of it; ended if the test fails. `url`: another way to the room."""
        room = new_room()
        async with self.system.viewer(room) as viewer:
            began = time.monotonic()
            answer = await self.send(avatar, self.system.room(room=room, url=url), **how)
            took = time.monotonic() - began
            assert answer is not None
            assert answer.status_code == 201, answer.text
            session = answer.json()["session"]
            await viewer.wait_frames(25)
            try:
                yield Live(session=session, token="", room=room, viewer=viewer, create_s=took)
            except BaseException:
                await self.ask_for_end(session["session_id"], how.get("key", ""))
                raise

    async def untouched(self, live: Live) -> None:
        """The same session and avatar, still started, no freeze."""
        await self.unbroken(live)
        session = await self.until_seen(live.session_id, bool)
        assert session["status"] == "started", session

    async def unbroken(self, live: Live) -> None:
        """The same avatar, no freeze; Froze otherwise."""
        check_gap(await self.goes_on(live))

    async def goes_on(self, live: Live) -> float:
        """The same avatar still moves; its longest stillness, which a long case prints and leaves to be judged."""
        viewer = live.viewer
        await viewer.wait_frames(len(viewer.frames) + 25)
        assert len({frame.participant_sid for frame in viewer.frames}) == 1
        markers = [frame.marker for frame in viewer.frames if frame.marker is not None]
        falls = sum(b < a for a, b in itertools.pairwise(markers))
        assert falls <= len(markers) / MISREAD, f"{falls} pictures of {len(markers)} are older than the one before"
        self.case.gap_s, at = longest_stillness(viewer)
        self.case.gap_after_s = at - self.case.began
        return self.case.gap_s

    async def gone_from(self, room: str, within_s: float = 10.0) -> None:
        """The avatar is out of the room."""
        await self.system.livekit.wait_gone(room, AVATAR_IDENTITY, within_s=within_s)


@contextmanager
def stopped(bench: Bench, part: str) -> Iterator[None]:
    """SIGSTOP to a part and what it started: it neither answers nor dies. SIGCONT afterwards."""
    pid = bench.system.running.pid(part)
    assert pid is not None
    os.killpg(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(pid, signal.SIGCONT)


def said_by(answer: httpx.Response | None) -> str:
    """What a client was told, in a word or two."""
    if answer is None:
        return "connection broken"
    error = answer.json().get("error")
    return f"{answer.status_code} {error['code']}" if isinstance(error, dict) else str(answer.status_code)


def longest_stillness(viewer: RoomViewer) -> tuple[float, float]:
    """The longest time without a new picture, in seconds, and when it began: repeats of the last one do not count."""
    fresh, marker = [], None
    for frame in viewer.frames:
        if frame.marker is not None and frame.marker != marker:
            fresh.append(frame.at)
            marker = frame.marker
    return max((b - a, a) for a, b in itertools.pairwise(fresh))


async def watch_afresh(system: RealSystem, room: str, count: int = 25) -> RoomViewer:
    """A new viewer who has seen some frames; close it."""
    viewer = system.viewer(room)
    await viewer.connect()
    await viewer.wait_frames(count, within_s=15)
    return viewer
