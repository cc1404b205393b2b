"""The line of creates that wait for a slot (rule 12), as parts of a claim's transaction."""

from sqlalchemy import BigInteger, RowMapping, bindparam, delete, func, or_, select, type_coerce, update
from sqlalchemy.ext.asyncio import AsyncConnection

from database.instants import db_now, from_now
from database.statements import insert_if_absent
from database.tables import sessions, waiting
from domain.line import Entry, Standing, standing_of

TRIED_WITHIN_S = 6.0
"""An entry that nobody has tried for since counts no more: its workflow tries every 2 s, unless it is gone.

It keeps its time of coming until it is swept, so that a line survives an outage in its order.
"""
SWEPT_AFTER_S = 600.0
_GATE = 7_235_112
"""A number of PostgreSQL's advisory locks."""

_LIVE = (
    select(waiting.c.session_id, waiting.c.account_id, sessions.c.requires)
    .join(sessions, sessions.c.session_id == waiting.c.session_id)
    .where(or_(waiting.c.expires_at > db_now(), waiting.c.session_id == bindparam("mine")))
    .order_by(waiting.c.entered_at, waiting.c.session_id)
)


async def anybody_waits(connection: AsyncConnection, session_id: str) -> bool:
    """Is anybody else in the line?"""
    query = select(waiting.c.session_id).where(waiting.c.expires_at > db_now(), waiting.c.session_id != session_id)
    return (await connection.execute(query.limit(1))).first() is not None


async def stand(connection: AsyncConnection, session_id: str, account_id: str) -> Standing:
    """Where a create stands. From here to the commit nobody else is served in turn: claims come one by one."""
    if connection.dialect.name == "postgresql":  # on SQLite every writing transaction is alone
        await connection.execute(select(func.pg_advisory_xact_lock(_GATE)))
    rows = await connection.execute(_LIVE, {"mine": session_id})
    return standing_of(session_id, account_id, [_entry(row) for row in rows.mappings()])


def _entry(row: RowMapping) -> Entry:
    return Entry(session_id=row["session_id"], account_id=row["account_id"], requires=row["requires"] or {})


async def wait_on(connection: AsyncConnection, session_id: str, account_id: str, seconds: float) -> None:
    """Enter the line, or stay in it, until the next try should have come, and no longer than `seconds`."""
    await connection.execute(delete(waiting).where(waiting.c.expires_at <= from_now(-SWEPT_AFTER_S)))
    until = {"expires_at": from_now(min(seconds, TRIED_WITHIN_S))}
    entry = {"session_id": session_id, "account_id": account_id, "entered_at": db_now(), **until}
    if not await insert_if_absent(connection, waiting, entry):
        await connection.execute(update(waiting).where(waiting.c.session_id == session_id).values(until))


async def leave(connection: AsyncConnection, session_id: str) -> float:
    """Leave the line; the seconds spent in it, 0 for who was not."""
    waited = type_coerce(db_now(), BigInteger) - type_coerce(waiting.c.entered_at, BigInteger)
    mine = delete(waiting).where(waiting.c.session_id == session_id)
    return max(await connection.scalar(mine.returning(waited)) or 0, 0) / 1000
