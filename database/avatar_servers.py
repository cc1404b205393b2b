"""Avatar servers as the database sees them: who is there, and what its renewals say (design rule 8)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, func, insert, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from database.engine import reading, writing
from database.instants import db_now, from_now
from database.renewal import renew_by_one_statement, renew_step_by_step
from database.statements import insert_if_absent
from database.tables import avatar_servers, leases
from database.tables import slots as slot_rows
from domain.labels import Labels
from domain.leases import RenewalAnswer, Serving

LIVE_S = 3.0
"""A server that renewed within this time gets new sessions."""

SILENT_S = 65.0
"""After this time without a renewal a server has left its rooms by itself (rule 10), and is forgotten."""

RENEWED_WITHIN_S = 2.0
"""A renewal that took longer is given up and tried again."""


@dataclass(frozen=True, kw_only=True)
class AvatarServer:
    """One boot of an avatar server, for operators."""

    boot_id: str
    name: str
    queue: str
    slots: int
    taken: int
    draining: bool
    live: bool
    """It renewed within the last 3 s."""
    registered_at: datetime
    renewed_at: datetime
    version: str | None
    """Of its software; None where it does not say."""
    labels: Mapping[str, str] | None


class AvatarServers:
    """The store of avatar servers."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def register(
        self, boot_id: str, name: str, queue: str, slots: int, *, version: str = "", labels: Labels | None = None
    ) -> None:
        """Add a boot and its free slots, unless it is there already. Forgets servers that fell silent."""
        row: dict[str, Any] = {"boot_id": boot_id, "name": name, "queue": queue, "slots": slots, "draining": False}
        row |= {"version": version or None, "labels": dict(labels or {}) or None}
        row |= {"registered_at": db_now(), "renewed_at": db_now(), "renewals": 0}
        async with writing(self._engine) as connection:
            await forget_servers(connection, avatar_servers.c.renewed_at <= from_now(-SILENT_S))
            if await insert_if_absent(connection, avatar_servers, row) and slots:
                numbers = [{"boot_id": boot_id, "number": n} for n in range(1, slots + 1)]
                await connection.execute(insert(slot_rows), numbers)

    async def renew(self, boot_id: str, serving: Sequence[Serving]) -> RenewalAnswer:
        """Renew a server and all its leases, and free the slots of sessions whose lease and process are both gone.

        `serving` are all sessions that have a process on this server; seconds served never go back.
        """
        async with writing(self._engine, within_s=RENEWED_WITHIN_S) as connection:
            renew = renew_by_one_statement if connection.dialect.name == "postgresql" else renew_step_by_step
            return await renew(connection, boot_id, serving)

    async def drain(self, boot_id: str, *, draining: bool = True) -> None:
        """Give a server no new sessions, or give it some again; those that it has go on."""
        one = avatar_servers.c.boot_id == boot_id
        async with writing(self._engine) as connection:
            await connection.execute(update(avatar_servers).where(one).values(draining=draining))

    async def sessions_of(self, boot_id: str) -> list[str]:
        """The sessions whose lease a server holds, the oldest lease first."""
        held = and_(leases.c.boot_id == boot_id, leases.c.revoked_at.is_(None))
        async with reading(self._engine) as connection:
            query = select(leases.c.session_id).where(held).order_by(leases.c.claimed_at, leases.c.session_id)
            return list(await connection.scalars(query))

    async def deregister(self, boot_id: str) -> None:
        """Remove a server whose processes are gone, with its slots; what it still held is revoked."""
        async with writing(self._engine) as connection:
            await forget_servers(connection, avatar_servers.c.boot_id == boot_id)

    async def listed(self) -> list[AvatarServer]:
        """Every server that is remembered, by name."""
        taken = select(func.count(slot_rows.c.session_id)).where(slot_rows.c.boot_id == avatar_servers.c.boot_id)
        columns = [column for column in avatar_servers.c if column.name != "renewals"]
        live = (avatar_servers.c.renewed_at > from_now(-LIVE_S)).label("live")
        query = select(*columns, taken.scalar_subquery().label("taken"), live)
        async with reading(self._engine) as connection:
            rows = await connection.execute(query.order_by(avatar_servers.c.name, avatar_servers.c.boot_id))
            return [AvatarServer(**row) for row in rows.mappings()]

    async def renewals(self) -> dict[str, int]:
        """How often each server that is remembered has renewed, by boot id."""
        async with reading(self._engine) as connection:
            rows = await connection.execute(select(avatar_servers.c.boot_id, avatar_servers.c.renewals))
            return {row.boot_id: row.renewals for row in rows}

    async def capacity(self) -> tuple[int, int]:
        """Free slots and all slots of the servers that would get a session now."""
        free = func.count().filter(slot_rows.c.session_id.is_(None))
        query = select(free, func.count()).select_from(slot_rows.join(avatar_servers)).where(takes_sessions())
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).one()
        return row[0], row[1]


def takes_sessions() -> ColumnElement[bool]:
    """The condition under which a server gets new sessions: it renewed within 3 s and is not draining."""
    return and_(avatar_servers.c.renewed_at > from_now(-LIVE_S), avatar_servers.c.draining.is_(False))


def has_labels(requires: Labels) -> ColumnElement[bool]:
    """The condition that a server has all that is required."""
    labels = avatar_servers.c.labels
    return and_(true(), *[labels[name].as_string() == value for name, value in requires.items()])


async def could_serve(connection: AsyncConnection, requires: Labels) -> bool:
    """Is there a server that could ever serve this? One that fell silent a moment ago may come back."""
    lives = and_(avatar_servers.c.renewed_at > from_now(-SILENT_S), avatar_servers.c.draining.is_(False))
    query = select(exists().where(lives, avatar_servers.c.slots > 0, has_labels(requires)))
    return bool(await connection.scalar(query))


async def free_slots(connection: AsyncConnection) -> list[tuple[str, Labels, int]]:
    """Servers that have free slots and take sessions, with their labels and how many are free."""
    number = func.count().label("number")
    query = (
        select(avatar_servers.c.boot_id, number)
        .join(slot_rows, slot_rows.c.boot_id == avatar_servers.c.boot_id)
        .where(slot_rows.c.session_id.is_(None), takes_sessions())
        .group_by(avatar_servers.c.boot_id)
        .subquery()
    )
    whole = select(query.c.boot_id, query.c.number, avatar_servers.c.labels).join(
        avatar_servers, avatar_servers.c.boot_id == query.c.boot_id
    )
    return [(row.boot_id, row.labels or {}, row.number) for row in await connection.execute(whole)]


async def forget_servers(connection: AsyncConnection, which: ColumnElement[bool]) -> int:
    """Remove servers with their slots, and revoke what they held; how many there were.

    Servers go before their leases: a claim that is under way then either finds no slot or is revoked here.
    """
    found = select(avatar_servers.c.boot_id).where(which).with_for_update()
    boots = (await connection.scalars(found)).all()
    if boots:
        await connection.execute(delete(avatar_servers).where(avatar_servers.c.boot_id.in_(boots)))
        held = and_(leases.c.boot_id.in_(boots), leases.c.revoked_at.is_(None))
        await connection.execute(update(leases).where(held).values(revoked_at=db_now()))
    return len(boots)
