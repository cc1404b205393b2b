"""When a session ends by itself, told to its avatar server by the lease: it warns the room, and stops at last."""

from datetime import datetime

from sqlalchemy import and_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from database.tables import leases


async def move_stop(connection: AsyncConnection, session_id: str, at: datetime, reason: str) -> None:
    """Move the stop of a reason; one of another reason, which comes before, stays."""
    held = and_(leases.c.session_id == session_id, leases.c.revoked_at.is_(None), leases.c.stop_reason == reason)
    await connection.execute(update(leases).where(held).values(stop_at=at))


async def set_stop(connection: AsyncConnection, session_id: str, at: datetime, reason: str) -> None:
    """Set the moment and the end reason on the lease that is held; the next generation's lease inherits both.

    The next renewal tells the server, within a second. It warns the room 60 s and 10 s before, and leaves 5 s after it
    by itself, so that a session ends whose workflow cannot be reached. There is one stop: the earliest end counts.
    """
    held = and_(leases.c.session_id == session_id, leases.c.revoked_at.is_(None))
    await connection.execute(update(leases).where(held).values(stop_at=at, stop_reason=reason))
