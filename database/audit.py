"""The audit trail of sessions, written in the transaction that changes them; and what an ended session answers."""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import insert, null
from sqlalchemy.ext.asyncio import AsyncConnection

from database.announcing import announce_session
from database.instants import db_now
from database.tables import session_events
from domain.failures import FailureCode, Refused
from domain.session import SessionStatus
from domain.webhooks import WebhookEvent


class SessionStep(StrEnum):
    """What changes a session. The table takes each once for a session and generation."""

    ADMITTED = "admit_session"
    STARTED = "record_started"
    ATTENDED = "record_attended"
    MOVED = "record_moved"
    EXTENDED = "record_extended"
    ENDED = "record_ended"


_LEADS_TO = {
    SessionStep.ADMITTED: SessionStatus.CREATED,
    SessionStep.STARTED: SessionStatus.STARTED,
    SessionStep.ATTENDED: SessionStatus.STARTED,
    SessionStep.MOVED: SessionStatus.STARTED,
    SessionStep.EXTENDED: SessionStatus.STARTED,
    SessionStep.ENDED: SessionStatus.ENDED,
}

_TOLD = {
    SessionStep.STARTED: WebhookEvent.SESSION_STARTED,
    SessionStep.ATTENDED: WebhookEvent.SESSION_FIRST_FRAME,
    SessionStep.ENDED: WebhookEvent.SESSION_ENDED,
}
"""What the account's webhooks are told of, in the same transaction."""


@dataclass(frozen=True, kw_only=True)
class StepRun:
    """The step of a workflow that is being done: each audit row that it writes says so."""

    workflow_id: str
    run_id: str
    asked_at: datetime
    """When the workflow asked for the step, by the clock of this machine."""


performing: ContextVar[StepRun | None] = ContextVar("performing", default=None)
"""What is being done in this task. Set by the worker for each of its steps; None in every other process."""


async def audit(
    connection: AsyncConnection,
    session_id: str,
    step: SessionStep,
    *,
    generation: int = 0,
    reason: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write that a step changed the session, after the change itself: webhooks tell of what stands then.

    Generation 0 where no lease is concerned, or an extension's number. `details` are told to the account in the
    session's timeline.
    """
    event = {"session_id": session_id, "step": step, "generation": generation, "reason": reason}
    told = dict(details) if details else None
    row = {**event, **_run_of_step(), "details": null() if told is None else told}
    await connection.execute(insert(session_events).values(**row, status=_LEADS_TO[step], at=db_now()))
    if step in _TOLD:
        await announce_session(connection, session_id, _TOLD[step])


def _run_of_step() -> dict[str, Any]:
    run = performing.get()
    if run is None:
        return {}
    took = (datetime.now(UTC) - run.asked_at) // timedelta(milliseconds=1)
    return {"workflow_id": run.workflow_id, "run_id": run.run_id, "took_ms": max(took, 0)}


def refusal_of_ended(end_reason: str, *, otherwise: FailureCode) -> Refused:
    """What a step of an ended session answers: the failure that the session ended by, else `otherwise`.

    So a workflow task that a crash runs again meets the same refusal as the first time.
    """
    code = FailureCode(end_reason) if end_reason in FailureCode.__members__ else otherwise
    return Refused(code, "The session has ended", details={"end_reason": end_reason})
