"""Several OS processes that do the same to one database at the same moment."""

import asyncio
import multiprocessing
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from multiprocessing.synchronize import Barrier
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from database.avatar_servers import AvatarServers
from database.creates import Creates
from database.engine import open_engine, reading
from database.freezes import EVERYBODY, Freezes
from database.leases import Leases
from database.migrations import upgrade
from database.sessions import Sessions
from database.tables import leases, sessions
from domain.avatars import AspectRatio
from domain.failures import FailureCode, Refused

Attempt = Callable[[AsyncEngine, Any], Awaitable[str]]
"""One attempt: its outcome as a word. A function of this module, so that another process can import it."""

TRIES = 10
_START_WITHIN_S = 60


async def claim(engine: AsyncEngine, session_id: str) -> str:
    """Claim generation 1 of a session."""
    await Leases(engine).claim(session_id, 1)
    return "claimed"


async def claim_in_turn(engine: AsyncEngine, wanted: str) -> str:
    """Claim a slot for a session, given with its duplicate key if it has one, when it is its turn."""
    session_id, _, duplicate_key = wanted.partition(" ")
    await Leases(engine).claim_in_turn(session_id, wait_s=60, duplicate_key=duplicate_key)
    return f"claimed {session_id}"


async def serve_in_turn(engine: AsyncEngine, wanted: tuple[str, str]) -> str:
    """Try for one of a server's three slots until it is this session's turn, hold it for a moment, give it back."""
    session_id, boot_id = wanted
    while True:
        with suppress(Refused):  # by a machine that is too busy, too
            await Leases(engine).claim_in_turn(session_id, wait_s=60)
            break
        with suppress(Refused):
            await AvatarServers(engine).renew(boot_id, [])
        await asyncio.sleep(0.2)
    held = select(func.count()).select_from(leases).where(leases.c.revoked_at.is_(None))
    async with reading(engine) as connection:
        if (await connection.scalar(held) or 0) > 3:
            return "one too many"
    await Sessions(engine).end(session_id, "ended_by_request")
    with suppress(Refused):
        await AvatarServers(engine).renew(boot_id, [])
    return "served"


async def serve_any(engine: AsyncEngine, wanted: tuple[str, tuple[str, ...]]) -> str:
    """Try for a slot of several servers until it is this session's turn, and give it back."""
    session_id, boots = wanted

    async def renewed() -> None:
        for boot_id in boots:
            with suppress(Refused):
                await AvatarServers(engine).renew(boot_id, [])

    while True:
        with suppress(Refused):  # by a machine that is too busy, too
            await Leases(engine).claim_in_turn(session_id, wait_s=60)
            break
        await renewed()
        await asyncio.sleep(0.1)
    await Sessions(engine).end(session_id, "ended_by_request")
    await renewed()
    return "served"


async def remember(engine: AsyncEngine, wanted: tuple[str, str, bool, str]) -> str:
    """Claim a create, given as account, key, whether the key is the client's own, and session."""
    account_id, repeat_key, keyed, session_id = wanted
    found = await Creates(engine).claim(
        account_id=account_id,
        repeat_key=repeat_key,
        keyed=keyed,
        body_mac="mac",
        is_same_body="mac".__eq__,
        session_id=session_id,
    )
    return f"{found.course} {found.session_id}"


async def admit(engine: AsyncEngine, wanted: tuple[str, str, str]) -> str:
    """Admit a session, given as its id, its account's and its avatar's."""
    session_id, account_id, avatar_id = wanted
    await Sessions(engine).admit(
        session_id=session_id,
        account_id=account_id,
        avatar_id=avatar_id,
        aspect_ratio=AspectRatio.SQUARE,
        metadata={},
        remaining_seconds=30,
    )
    return "admitted"


async def admit_or_freeze(engine: AsyncEngine, wanted: tuple[str, str, str]) -> str:
    """Admit a session as above; for the word `freeze` freeze admissions, and count the rows that are there then."""
    if wanted[0] != "freeze":
        return await admit(engine, wanted)
    await Freezes(engine).freeze(EVERYBODY, "")
    async with reading(engine) as connection:
        return f"frozen at {await connection.scalar(select(func.count()).select_from(sessions))}"


async def admit_picture(engine: AsyncEngine, wanted: tuple[str, str]) -> str:
    """Admit a session with a picture, given as its id and its account's."""
    session_id, account_id = wanted
    await Sessions(engine).admit(
        session_id=session_id,
        account_id=account_id,
        avatar_id=session_id.replace("sess_", "avat_"),
        aspect_ratio=AspectRatio.SQUARE,
        metadata={},
        remaining_seconds=30,
        picture=True,
    )
    return "admitted"


async def migrated(engine: AsyncEngine, _: None) -> str:
    """Bring the database up to date."""
    await upgrade(engine)
    return "migrated"


async def race(url: str, attempt: Attempt, shares: Sequence[Sequence[Any]]) -> Counter[str]:
    """Start a process for each share, let all begin at once, and count the outcomes; a refusal counts as its code.

    Every attempt finds a connection of its own, open already.
    """
    context = multiprocessing.get_context("spawn")
    barrier, outcomes = context.Barrier(len(shares)), context.SimpleQueue()
    racers = [
        context.Process(target=_run, args=(url, attempt, share, barrier, outcomes), daemon=True) for share in shares
    ]
    for racer in racers:
        racer.start()
    await asyncio.gather(*(asyncio.to_thread(racer.join, _START_WITHIN_S) for racer in racers))
    assert [racer.exitcode for racer in racers] == [0] * len(racers)
    return Counter(outcome for _ in racers for outcome in outcomes.get())


def _run(url: str, attempt: Attempt, share: Sequence[Any], barrier: Barrier, outcomes: Any) -> None:
    outcomes.put(asyncio.run(_all(url, attempt, share, barrier)))


async def _all(url: str, attempt: Attempt, share: Sequence[Any], barrier: Barrier) -> list[str]:
    engine = open_engine(url, connections=len(share))
    async with AsyncExitStack() as stack:
        for _ in share:
            connection = await stack.enter_async_context(reading(engine))
            await connection.execute(select(1))
    barrier.wait(_START_WITHIN_S)
    results = await asyncio.gather(*(_outcome(attempt, engine, one) for one in share))
    await engine.dispose()
    return results


async def _outcome(attempt: Attempt, engine: AsyncEngine, one: Any) -> str:
    """The first answer; what a machine that is too busy did not answer in time is asked again, as a step is."""
    for _ in range(TRIES):
        try:
            return await attempt(engine, one)
        except Refused as refusal:
            answer = refusal.code
        if answer != FailureCode.TEMPORARILY_UNAVAILABLE:
            break
    return answer.value
