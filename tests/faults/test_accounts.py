"""What limits and operators do to sessions that run (fault 15): the documented effect, the reason, the exact bill."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import pytest

from api.auth import key_hash
from database.account_admin import AccountAdmin
from database.accounts import Accounts
from domain.session import EndReason
from support import pictures
from support.fault_bench import WITHIN_S, Bench, said_by
from support.real_system import Live, new_room
from support.steadiness import three_tries

Begin = Callable[[str, str], Bench]

pytestmark = pytest.mark.databases("SQLite", "PostgreSQL")

ROOT = Path(__file__).parents[2]
MINUTE_MS = 60_000
RENEWAL_S = 1.6
"""From the last renewal to the end: a renewal each second, and what a busy machine takes for one."""
UNTOLD_S = 0.6
"""A renewal tells what the media process said last."""
UNSEEN_S = 2.5
"""Served before the viewer has decoded the first picture."""
LATE_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Customer:
    """An account with two keys and an avatar."""

    bench: Bench
    name: str
    keys: tuple[str, str]
    avatar: str

    async def operator(self, *words: str) -> str:
        """What `greenroom WORDS` prints."""
        folder = self.bench.system.folder
        environ = {name: value for name, value in os.environ.items() if not name.startswith("GREENROOM_")}
        environ["GREENROOM_DATABASE_URL"] = self.bench.database.url
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli.main", *words, "--data-dir", str(folder)),
            cwd=ROOT,
            env=environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, wrong = await process.communicate()
        assert process.returncode == 0, wrong.decode()
        return said.decode()

    async def refused(self, key: str = "") -> str:
        """What a new create is told."""
        answer = await self.bench.create(self.avatar, new_room(), key=key or self.keys[0])
        return said_by(answer)

    def bill(self, session_id: str) -> tuple[int, ...]:
        """The only bill of a session: milliseconds, minutes, and those of the plan."""
        query = "SELECT served_ms, minutes, included_minutes FROM charges WHERE session_id = ?"
        [found] = self.bench.rows(query, session_id)
        return found

    def check_bill(self, live: Live, minutes: int) -> str:
        """So many minutes of the plan, for what the viewer saw until the last renewal; a sentence on it."""
        served_ms, billed, included = self.bill(live.session_id)
        query = "SELECT renewed_at, ended_at FROM leases JOIN sessions USING (session_id) WHERE session_id = ?"
        [(renewed_at, ended_at)] = self.bench.rows(query, live.session_id)
        until = renewed_at / 1000 - time.time() + time.monotonic()
        seen = [frame.at for frame in live.viewer.frames if frame.at <= until]
        seen_s, short_s = seen[-1] - seen[0], (ended_at - renewed_at) / 1000
        assert (billed, included) == (minutes, minutes)
        assert seen_s - UNTOLD_S <= served_ms / 1000 <= seen_s + UNSEEN_S
        assert short_s <= RENEWAL_S
        return f"billed {minutes} min for {served_ms / 1000:.1f} s ({seen_s:.1f} s seen by the last renewal)"


async def customer(bench: Bench, **limits: int) -> Customer:
    """A new account on a plan of its own."""
    name, keys = f"customer-{uuid4().hex[:8]}", (f"ah_test_{uuid4().hex}", f"ah_test_{uuid4().hex}")
    engine = bench.system.engine
    await AccountAdmin(engine).set_plan(name, limits)
    await Accounts(engine).create(name, name, name)
    for key, called in zip(keys, ("first", "second"), strict=True):
        await Accounts(engine).add_key(name, key_hash(key), called)
    avatar = await bench.system.upload(pictures.astronaut(), key=keys[0])
    return Customer(bench=bench, name=name, keys=keys, avatar=str(avatar["avatar_id"]))


def ends_of(bench: Bench, session_id: str) -> list[tuple[object, ...]]:
    """The reasons of a session's end in the audit trail."""
    return bench.rows("SELECT reason FROM session_events WHERE session_id = ? AND step = 'record_ended'", session_id)


async def test_the_minutes_run_out(begin: Begin) -> None:
    """The room is warned, the session ends with its last minute, which is billed; there is nothing for another."""
    bench = begin("minutes", "run out in mid-session")
    mine = await customer(bench, included_minutes=1, max_concurrent_sessions=2)
    async with bench.live(mine.avatar, key=mine.keys[0]) as live:
        bench.case.fault_now()
        assert await mine.refused() == "403 INSUFFICIENT_MINUTES"  # the only one is held
        await bench.gone_from(live.room, within_s=70)
        ended = await bench.system.get(live.session_id, key=mine.keys[0])
        assert (ended["status"], ended["end_reason"]) == ("ended", EndReason.MINUTES_EXHAUSTED)
        assert live.viewer.warnings[0]["reason"] == EndReason.MINUTES_EXHAUSTED
        lasted = datetime.fromisoformat(ended["ended_at"]) - datetime.fromisoformat(ended["started_at"])
        late_s = lasted.total_seconds() - MINUTE_MS / 1000
        assert 0 <= late_s < LATE_S
        assert ended["billing"]["minutes_used"] == 1
        told = mine.check_bill(live, 1)
    assert ends_of(bench, live.session_id) == [(EndReason.MINUTES_EXHAUSTED,)]
    assert await mine.refused() == "403 INSUFFICIENT_MINUTES"
    bench.case.steady(f"warned; minutes_exhausted {late_s:.2f} s after the last minute; {told}")
    await bench.whole()


async def test_the_plan_is_lowered(begin: Begin) -> None:
    """Two sessions keep their length, place and minutes; the next create finds the new plan."""
    bench = begin("plan lowered", "below two live sessions")
    mine = await customer(bench, included_minutes=30, max_concurrent_sessions=2, max_session_seconds=600)
    key = {"key": mine.keys[0]}
    async with bench.live(mine.avatar, **key) as first, bench.live(mine.avatar, **key) as second:
        limits = ("max_concurrent_sessions=1", "included_minutes=0", "max_session_seconds=3")
        await mine.operator("plans", "set", mine.name, *limits)
        bench.case.fault_now()
        assert await mine.refused() == "429 CONCURRENCY_LIMIT_REACHED"
        await asyncio.sleep(5)
        for live in (first, second):
            now = await bench.system.get(live.session_id, **key)
            assert (now["status"], now["expiration"]) == ("started", live.session["expiration"])
        told = []
        for live, then in ((first, "429 CONCURRENCY_LIMIT_REACHED"), (second, "403 INSUFFICIENT_MINUTES")):
            await live.viewer.wait_frames(len(live.viewer.frames) + 10)
            ended = await bench.system.end(live.session_id, **key)
            assert ended["end_reason"] == EndReason.ENDED_BY_REQUEST
            await bench.gone_from(live.room)
            told.append(mine.check_bill(live, 1))
            assert await mine.refused() == then
        bench.case.steady(f"both went on; new ones refused by the new plan; {'; '.join(told)}")
    await bench.whole()


@three_tries
async def test_the_key_is_revoked(begin: Begin) -> None:
    """The session goes on untouched and another key of the account ends it; the revoked one opens nothing."""
    bench = begin("key revoked", "in mid-session")
    mine = await customer(bench, included_minutes=30)
    async with bench.live(mine.avatar, key=mine.keys[0]) as live:
        await mine.operator("keys", "revoke", mine.name, "first")
        bench.case.fault_now()
        for method, path in (("GET", ""), ("POST", "/end")):
            answer = await bench.system.call(method, f"/v1/sessions/{live.session_id}{path}", key=mine.keys[0])
            assert answer.status_code == 401
        assert await mine.refused() == "401"
        await bench.unbroken(live)
        assert (await bench.system.get(live.session_id, key=mine.keys[1]))["status"] == "started"
        ended = await bench.system.end(live.session_id, key=mine.keys[1])
        assert ended["end_reason"] == EndReason.ENDED_BY_REQUEST
        await bench.gone_from(live.room)
        bench.case.steady(f"401 for the key; the session untouched, ended by another key; {mine.check_bill(live, 1)}")
    assert ends_of(bench, live.session_id) == [(EndReason.ENDED_BY_REQUEST,)]
    await bench.whole()


async def test_the_account_is_closed(begin: Begin) -> None:
    """What runs ends as account_closed, billed; what is being created does not stay; no key opens anything any more."""
    bench = begin("account closed", "with a live session, and one being created")
    mine = await customer(bench, included_minutes=30, max_concurrent_sessions=2)
    async with bench.live(mine.avatar, key=mine.keys[0]) as live:
        creating = asyncio.create_task(bench.create(mine.avatar, new_room(), key=mine.keys[0]))
        query = "SELECT session_id FROM sessions WHERE account_id = ? AND session_id <> ?"
        async with asyncio.timeout(WITHIN_S):
            while not (found := bench.rows(query, mine.name, live.session_id)):  # noqa: ASYNC110
                await asyncio.sleep(0.002)
        bench.case.fault_now()
        said = await mine.operator("accounts", "close", mine.name, "--yes")
        closed_s = bench.case.since_fault()
        assert f"{live.session_id} ended as {EndReason.ACCOUNT_CLOSED}" in said
        await bench.gone_from(live.room)
        told = mine.check_bill(live, 1)
        answer = await creating
        [(reason,)] = bench.rows("SELECT end_reason FROM sessions WHERE session_id = ?", found[0][0])
        assert reason in {EndReason.ACCOUNT_CLOSED, "ACCOUNT_CLOSED", "CREATE_CANCELLED"}, said_by(answer)
        assert {await mine.refused(key) for key in mine.keys} == {"401"}
        assert bench.rows("SELECT count(*) FROM sessions WHERE account_id = ? AND ended_at IS NULL", mine.name) == [
            (0,)
        ]
        assert ends_of(bench, live.session_id) == [(EndReason.ACCOUNT_CLOSED,)]
        bench.case.steady(f"account_closed after {closed_s:.1f} s; the create {reason}; {told}")
    await bench.whole()
