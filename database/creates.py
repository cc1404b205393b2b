"""Creates as their repeats find them (rule 1): who comes first writes the row, everybody else reads whose it is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, exists, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from database.engine import reading, writing
from database.instants import db_now, from_now
from database.statements import insert_if_absent
from database.tables import creates, sessions
from domain.failures import FailureCode, Refused, Unavailable
from domain.repeats import Course, EarlierCreate
from domain.session import SessionStatus

REPEATS_FOR_S = 24 * 3600.0
"""How long an Idempotency-Key is remembered. What has none is found as long as its session lives."""
UNDER_WAY_S = 900.0
"""How long a create without a key is remembered whose session nobody has admitted: longer than any may take."""
_TRIES = 3
"""A row that stands in the way may be gone by the time that it is looked at."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """Whose a create is, and what is to be done about it."""

    session_id: str
    course: Course


class Creates:
    """The store of creates."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def claim(
        self,
        *,
        account_id: str,
        repeat_key: str,
        keyed: bool,
        body_mac: str,
        is_same_body: Callable[[str], bool],
        session_id: str,
    ) -> Found:
        """Make the create the session's own, unless an earlier one with this key answers for it.

        `is_same_body` tells whether an earlier create's `body_mac` is of this body. Refused: IDEMPOTENCY_KEY_REUSED,
        or what an earlier create with this key was refused with for good.
        """
        mine = Found(session_id=session_id, course=Course.BEGIN)
        lasts = from_now(REPEATS_FOR_S if keyed else UNDER_WAY_S)
        row = {"session_id": session_id, "keyed": keyed, "body_mac": body_mac, "expires_at": lasts}
        same = and_(creates.c.account_id == account_id, creates.c.repeat_key == repeat_key)
        async with writing(self._engine) as connection:
            for _ in range(_TRIES):
                key = {"account_id": account_id, "repeat_key": repeat_key}
                if await insert_if_absent(connection, creates, key | row):
                    return mine
                found = await _locked(connection, same)
                if found is None:
                    continue
                course = _earlier(found, is_same_body).course()
                if course is not Course.BEGIN:
                    return Found(session_id=found.session_id, course=course)
                forgotten = {"code": None, "message": None, "details": None}
                await connection.execute(update(creates).where(same).values(row | forgotten))
                return mine
        raise Unavailable("database: a create's row came and went")

    async def refuse(self, session_id: str, refusal: Refused) -> None:
        """Note how a create was answered: with a key it says so again for a day, without one it is forgotten."""
        mine = creates.c.session_id == session_id
        said = {"code": refusal.code, "message": refusal.message, "details": refusal.details}
        lasts = {"expires_at": from_now(REPEATS_FOR_S)}
        async with writing(self._engine) as connection:
            await connection.execute(delete(creates).where(mine, creates.c.keyed.is_(False)))
            await connection.execute(update(creates).where(mine).values(said | lasts))

    async def sweep(self) -> int:
        """Delete what no repeat would find any more; how many rows went."""
        lives = exists().where(sessions.c.session_id == creates.c.session_id, sessions.c.ended_at.is_(None))
        over = creates.c.expires_at <= db_now()
        async with reading(self._engine) as connection:  # who finds nothing to do holds nobody up
            if await connection.scalar(select(exists().where(over, ~lives))) is not True:
                return 0
        async with writing(self._engine) as connection:
            return (await connection.execute(delete(creates).where(over, ~lives))).rowcount


async def _locked(connection: AsyncConnection, same: ColumnElement[bool]) -> Row[Any] | None:
    """The row with what its session shows now. Others who repeat the same create wait until this one has decided."""
    columns = (sessions.c.status, sessions.c.started_at, sessions.c.end_reason)
    query = (
        select(creates, *columns, (creates.c.expires_at <= db_now()).label("expired"))
        .outerjoin(sessions, sessions.c.session_id == creates.c.session_id)
        .where(same)
        .with_for_update(of=creates)
    )
    return (await connection.execute(query)).one_or_none()


def _earlier(row: Row[Any], is_same_body: Callable[[str], bool]) -> EarlierCreate:
    return EarlierCreate(
        keyed=row.keyed,
        same_body=is_same_body(row.body_mac) if row.keyed else True,
        expired=row.expired,
        code=row.code and FailureCode(row.code),
        message=row.message or "",
        details=row.details,
        status=row.status and SessionStatus(row.status),
        has_started=row.started_at is not None,
        end_reason=row.end_reason,
    )
