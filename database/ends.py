"""A session's end as parts of a transaction: row, audit row, lease, bill and place in line go together."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, and_, func, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from database import line
from database.audit import SessionStep, audit
from database.charges import bill
from database.instants import db_now
from database.standing import Standing, standing_of_session
from database.tables import leases, sessions
from domain.session import EndReason, SessionStatus
from telemetry.metrics import BILLED_SECONDS, ENDED, SERVED_SECONDS


async def end_session(
    connection: AsyncConnection,
    session_id: str,
    reason: str,
    *,
    attended: bool = False,
    told: Mapping[str, Any] | None = None,
) -> Row[Any] | None:
    """End a session unless it has ended; its row as it stands. None if it was never admitted.

    `attended`: somebody has been in its room, whether that was noted before or not. `told` stands in its timeline.
    """
    mine = sessions.c.session_id == session_id
    came = func.coalesce(sessions.c.attended_at, db_now() if attended else null())
    change = {"status": SessionStatus.ENDED, "ended_at": db_now(), "end_reason": reason, "attended_at": came}
    live = update(sessions).where(mine, sessions.c.ended_at.is_(None)).values(change)
    standing = await standing_of_session(connection, session_id, lock=True)
    if standing is None:
        return None
    row = (await connection.execute(live.returning(*sessions.c))).one_or_none()
    if row is None:
        return (await connection.execute(select(sessions).where(mine).with_for_update())).one()
    await _close(connection, row, standing, told or {})
    return row


async def _close(connection: AsyncConnection, row: Row[Any], standing: Standing, told: Mapping[str, Any]) -> None:
    """What follows in the transaction of an end: first the lease, so that the time served is final, then the bill."""
    held = and_(leases.c.session_id == row.session_id, leases.c.revoked_at.is_(None))
    await connection.execute(update(leases).where(held).values(revoked_at=db_now(), ended_as=row.end_reason))
    await line.leave(connection, row.session_id)
    details = dict(told)
    if row.started_at is not None:
        attended = row.attended_at is not None
        bill_ = await bill(connection, row.session_id, standing, attended=attended, reserved=row.reserved_minutes)
        details |= {"served_ms": bill_.served_ms, "minutes": bill_.minutes}
        BILLED_SECONDS.inc(bill_.minutes * 60)
        SERVED_SECONDS.inc(bill_.served_ms / 1000)
    await audit(connection, row.session_id, SessionStep.ENDED, reason=row.end_reason, details=details or None)
    # A commit that fails after this is counted one too many: what is exact stands in the ledger.
    ENDED.labels(row.end_reason).inc()


async def replace(connection: AsyncConnection, older: Sequence[str], newer: str) -> None:
    """End sessions whose avatar a newer one is about to show in the same room."""
    for session_id in older:
        await end_session(connection, session_id, EndReason.REPLACED, told={"replaced_by": newer})
