"""Moving a running session's end, within its account's plan; each move once, with its audit row."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, exists, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from database.audit import SessionStep, audit
from database.engine import writing
from database.sessions import StartedSession, started_session
from database.stops import move_stop
from database.tables import accounts, plans, session_events, sessions
from domain.failures import FailureCode, Refused
from domain.plans import HARD_CAP, expires_at
from domain.session import EndReason, SessionStatus


class Extensions:
    """The store of extensions. A session's first is number 1; a repeat finds what it did."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def extend(self, session_id: str, number: int, seconds: float) -> StartedSession:
        """Let a session end so many seconds later; one without a limit of its plan stays as it is.

        Refused, and nothing has changed: SESSION_NOT_FOUND; SESSION_ENDED, also for one that has not started;
        EXTENSION_LIMIT_REACHED beyond what the plan allows now, or 24 hours.
        """
        async with writing(self._engine) as connection:
            row = await _lock_started(connection, session_id)
            if row.plan_seconds is None or await _is_done(connection, session_id, number):
                return started_session(row)
            wanted = row.plan_seconds + seconds
            _check(row, wanted, await _limit(connection, row.account_id))
            change = {"plan_seconds": wanted, "enforced_seconds": wanted}
            mine = sessions.c.session_id == session_id
            changed = update(sessions).where(mine).values(change).returning(*sessions.c)
            extended = started_session((await connection.execute(changed)).one())
            await move_stop(connection, session_id, extended.enforced_end, EndReason.EXPIRED)
            await audit(connection, session_id, SessionStep.EXTENDED, generation=number, details={"seconds": seconds})
        return extended


async def _lock_started(connection: AsyncConnection, session_id: str) -> Row[Any]:
    query = select(sessions).where(sessions.c.session_id == session_id).with_for_update()
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise Refused(FailureCode.SESSION_NOT_FOUND, "Session not found")
    if row.status != SessionStatus.STARTED:
        raise Refused(FailureCode.SESSION_ENDED, "The session does not run", details={"end_reason": row.end_reason})
    return row


async def _is_done(connection: AsyncConnection, session_id: str, number: int) -> bool:
    event = session_events.c
    done = and_(event.session_id == session_id, event.step == SessionStep.EXTENDED, event.generation == number)
    return bool(await connection.scalar(select(exists().where(done))))


async def _limit(connection: AsyncConnection, account_id: str) -> float:
    """How long the account's sessions may last, by its plan as it is now."""
    query = select(plans.c.max_session_seconds).join(accounts).where(accounts.c.account_id == account_id)
    seconds = await connection.scalar(query)
    return min(seconds or HARD_CAP.total_seconds(), HARD_CAP.total_seconds())


def _check(row: Row[Any], wanted: float, limit: float) -> None:
    if wanted <= limit:
        return
    expiration: datetime | None = expires_at(row.started_at, row.plan_seconds)
    details = {
        "max_seconds": limit,
        "available_seconds": max(limit - row.plan_seconds, 0),
        "expiration": expiration and expiration.isoformat(),
    }
    message = f"The plan allows sessions of {limit:g} seconds"
    raise Refused(FailureCode.EXTENSION_LIMIT_REACHED, message, details=details)
