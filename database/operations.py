"""What operators' verbs look for: servers by name or version, and sessions by what they have in common."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from database.engine import reading, writing
from database.tables import avatar_servers, leases, sessions
from domain.selections import Selection


@dataclass(frozen=True, kw_only=True)
class Found:
    """A stretch of the sessions that were looked for."""

    session_ids: list[str]
    last: str
    """Where the next stretch goes on; empty: there is none."""


@dataclass(frozen=True, kw_only=True)
class Served:
    """A stretch of the sessions that some servers serve."""

    servers: int
    sessions: list[tuple[str, str]]
    """Session and boot."""
    number: int
    """All of them."""


class OperatorReading:
    """Finds sessions and servers, and marks servers as draining."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def take_out(self, boots: tuple[str, ...], version: str) -> None:
        """Give servers nothing new: these boots, or all that run a version."""
        change = update(avatar_servers).where(_servers(boots, version)).values(draining=True)
        async with writing(self._engine) as connection:
            await connection.execute(change)

    async def served(self, boots: tuple[str, ...], version: str, *, after: str = "", at_most: int = 200) -> Served:
        """The sessions that they hold leases of, by id; those that come after one."""
        which = _servers(boots, version)
        held = and_(leases.c.revoked_at.is_(None), leases.c.boot_id.in_(select(avatar_servers.c.boot_id).where(which)))
        page = select(leases.c.session_id, leases.c.boot_id).where(held, leases.c.session_id > after)
        async with reading(self._engine) as connection:
            servers = await connection.scalar(select(func.count()).select_from(avatar_servers).where(which)) or 0
            number = await connection.scalar(select(func.count()).select_from(leases).where(held)) or 0
            rows = await connection.execute(page.order_by(leases.c.session_id).limit(at_most))
            return Served(servers=servers, sessions=[(row.session_id, row.boot_id) for row in rows], number=number)

    async def find(self, wanted: Selection, since: datetime, *, after: str = "", at_most: int = 200) -> Found:
        """Sessions that have not ended and were there at a moment, by id, a stretch that begins after one.

        Metadata is compared here, so that numbers and truths read alike whatever the database.
        """
        live = [sessions.c.ended_at.is_(None), sessions.c.created_at <= since, sessions.c.session_id > after]
        columns = ((sessions.c.account_id, wanted.account_id), (sessions.c.key_id, wanted.key_id))
        live += [column == value for column, value in columns if value]
        query = select(sessions.c.session_id, sessions.c.metadata).where(*live).order_by(sessions.c.session_id)
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query.limit(at_most))).all()
        fits = [row.session_id for row in rows if wanted.fits(row.metadata)]
        return Found(session_ids=fits, last=rows[-1].session_id if len(rows) == at_most else "")


def _servers(boots: tuple[str, ...], version: str) -> ColumnElement[bool]:
    return avatar_servers.c.version == version if version else avatar_servers.c.boot_id.in_(boots)
