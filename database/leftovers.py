"""What should not be there: sessions that nobody may be looking after, and what ended sessions still hold."""

import random
from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from database.avatar_servers import SILENT_S, forget_servers
from database.engine import reading, writing
from database.instants import db_now, from_now
from database.tables import avatar_servers, leases, sessions

ORPHANED_AFTER_S = 10.0
"""A session's row may be written a moment before its workflow can be seen elsewhere, and an end a moment before it
closes."""


class Leftovers:
    """Reads and clears what no timer leads out of."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def unended(self, *, at_most: int) -> list[str]:
        """Ids of sessions that have not ended and are old enough to have a workflow, in the order of their ids.

        Where there are more than `at_most`, as many from a random one on, the first following upon the last: so each
        has the same chance.
        """
        query = select(sessions.c.session_id).where(_unended()).order_by(sessions.c.session_id)
        async with reading(self._engine) as connection:
            number = await connection.scalar(select(func.count()).select_from(sessions).where(_unended())) or 0
            begins = random.randrange(number) if number > at_most else 0  # noqa: S311 - no secret
            found = list((await connection.scalars(query.offset(begins).limit(at_most))).all())
            wrapped = min(at_most - len(found), begins)
            return found if not wrapped else [*(await connection.scalars(query.limit(wrapped))).all(), *found]

    async def still_unended(self, among: Sequence[str]) -> list[str]:
        """Those of some sessions that have not ended, and are old enough; names of none are left out."""
        query = select(sessions.c.session_id).where(_unended(), sessions.c.session_id.in_(among))
        async with reading(self._engine) as connection:
            return list((await connection.scalars(query)).all())

    async def release(self) -> int:
        """Revoke leases that ended sessions hold, and forget servers that fell silent; how many there were."""
        ended = select(sessions.c.session_id).where(sessions.c.ended_at.is_not(None))
        held = and_(leases.c.revoked_at.is_(None), leases.c.session_id.in_(ended))
        silent = avatar_servers.c.renewed_at <= from_now(-SILENT_S)
        async with writing(self._engine) as connection:
            forgotten = await forget_servers(connection, silent)
            revoked = await connection.execute(update(leases).where(held).values(revoked_at=db_now()))
        return forgotten + revoked.rowcount


def _unended() -> ColumnElement[bool]:
    return and_(sessions.c.ended_at.is_(None), sessions.c.created_at <= from_now(-ORPHANED_AFTER_S))
