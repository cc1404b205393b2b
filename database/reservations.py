"""Minutes that running sessions hold of their accounts, slice by slice. What an end leaves of them is free again."""

from typing import Any

from sqlalchemy import Row, Update, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from database.audit import SessionStep, audit
from database.engine import writing
from database.instants import db_now
from database.minutes import minutes_in
from database.standing import standing_of_session
from database.stops import set_stop
from database.tables import sessions
from domain.billing import next_slice
from domain.plans import expires_at
from domain.session import EndReason, SessionStatus

_MINUTE_S = 60


class Reservations:
    """The store of reservations; they stand in the sessions' rows."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def extend(self, session_id: str, covered_s: float) -> float | None:
        """Hold the next slice of a session that is paid for `covered_s` from its start; how far it is paid then.

        The same again where no minutes are left; None where the plan has no limit now. A repeat finds its own slice.
        """
        async with writing(self._engine) as connection:
            standing = await standing_of_session(connection, session_id, lock=True)
            row = await _locked(connection, session_id)
            if standing is None or row is None or row.status != SessionStatus.STARTED:
                return covered_s
            if standing.plan.included_minutes is None:
                return None
            held = row.reserved_minutes or 0
            if held * _MINUTE_S > covered_s:
                return float(held * _MINUTE_S)
            minutes = await minutes_in(connection, standing.account_id, standing.plan, standing.period)
            more = next_slice(minutes.free, held=held)
            held += more
            await connection.execute(_one(session_id).values(reserved_minutes=held))
            await _tell_server(connection, row, held, enough=more > 0)
        return float(held * _MINUTE_S)

    async def attend(self, session_id: str) -> None:
        """Note that somebody has been in the session's room; the first time stays."""
        async with writing(self._engine) as connection:
            row = await _locked(connection, session_id)
            if row is None or row.attended_at is not None or row.ended_at is not None:
                return
            await connection.execute(_one(session_id).values(attended_at=db_now()))
            await audit(connection, session_id, SessionStep.ATTENDED)


async def _tell_server(connection: AsyncConnection, row: Row[Any], held: int, *, enough: bool) -> None:
    """Let the avatar's server warn the room before its last minutes end; or no more, where there are new ones."""
    paid_until = expires_at(row.started_at, held * _MINUTE_S)
    ends_at = expires_at(row.started_at, row.enforced_seconds)
    if paid_until is None or ends_at is None:
        raise AssertionError("a started session has an enforced limit")  # design rule 15
    if enough or paid_until >= ends_at:
        await set_stop(connection, row.session_id, ends_at, EndReason.EXPIRED)
    else:
        await set_stop(connection, row.session_id, paid_until, EndReason.MINUTES_EXHAUSTED)


async def _locked(connection: AsyncConnection, session_id: str) -> Row[Any] | None:
    query = select(sessions).where(sessions.c.session_id == session_id).with_for_update()
    return (await connection.execute(query)).one_or_none()


def _one(session_id: str) -> Update:
    return update(sessions).where(sessions.c.session_id == session_id)
