"""The audit trail of sessions, written in the transaction that changes them; and what an ended session answers."""

from enum import StrEnum

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from database.instants import db_now
from database.tables import session_events
from domain.failures import FailureCode, Refused
from domain.session import SessionStatus


class SessionStep(StrEnum):
    """What changes a session. The table takes each once for a session and generation."""

    ADMITTED = "admit_session"
    STARTED = "record_started"
    MOVED = "record_moved"
    ENDED = "record_ended"


_LEADS_TO = {
    SessionStep.ADMITTED: SessionStatus.CREATED,
    SessionStep.STARTED: SessionStatus.STARTED,
    SessionStep.MOVED: SessionStatus.STARTED,
    SessionStep.ENDED: SessionStatus.ENDED,
}


async def audit(
    connection: AsyncConnection, session_id: str, step: SessionStep, *, generation: int = 0, reason: str | None = None
) -> None:
    """Write that a step changed the session's status. Generation 0 where no lease is concerned."""
    event = {"session_id": session_id, "step": step, "generation": generation, "reason": reason}
    await connection.execute(insert(session_events).values(**event, status=_LEADS_TO[step], at=db_now()))


def refusal_of_ended(end_reason: str, *, otherwise: FailureCode) -> Refused:
    """What a step of an ended session answers: the failure that the session ended by, else `otherwise`.

    So a workflow task that a crash runs again meets the same refusal as the first time.
    """
    code = FailureCode(end_reason) if end_reason in FailureCode.__members__ else otherwise
    return Refused(code, "The session has ended", details={"end_reason": end_reason})
