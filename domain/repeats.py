"""Repeats of a create: which of them are answered by what is there already, and which make a new session (rule 1)."""

from dataclasses import dataclass
from enum import StrEnum

from domain.failures import FailureCode, Refused, is_final
from domain.session import SessionStatus


class Course(StrEnum):
    """What is to be done about a create."""

    BEGIN = "begin"
    """It is a new session's."""
    JOIN = "join"
    """Its session is under way, or has yet to be started by somebody: wait for the same answer."""
    ANSWER = "answer"
    """Its session has started: answer from the database."""


@dataclass(frozen=True, kw_only=True)
class EarlierCreate:
    """What is remembered of a create, and of its session."""

    keyed: bool
    """Found by an Idempotency-Key; else by room, participant and body."""
    same_body: bool
    expired: bool
    """Its time to be repeated is over."""
    code: FailureCode | None = None
    """What it was refused with."""
    message: str = ""
    details: dict[str, object] | None = None
    status: SessionStatus | None = None
    """Of its session; None where none was admitted, or not yet."""
    has_started: bool = False
    end_reason: str | None = None

    def course(self) -> Course:
        """What a repeat gets. Refused: IDEMPOTENCY_KEY_REUSED with another body, else the final refusal of the first.

        A session that is being created or runs is always found. Refusals that are worth another try, and without a
        key every refusal and every end, let the repeat begin a new session.
        """
        live = self.status in (SessionStatus.CREATED, SessionStatus.STARTED)
        if self.expired and not live:
            return Course.BEGIN
        if not self.same_body:
            message = "This Idempotency-Key was sent with another body"
            raise Refused(FailureCode.IDEMPOTENCY_KEY_REUSED, message)
        if self.code is not None:
            return self._after(self.code, self.message, self.details)
        if self.status is SessionStatus.ENDED:
            return self._after_the_end()
        return Course.ANSWER if self.status is SessionStatus.STARTED else Course.JOIN

    def _after_the_end(self) -> Course:
        if self.keyed and self.has_started:
            return Course.ANSWER
        reason = self.end_reason or ""
        code = FailureCode(reason) if reason in FailureCode.__members__ else FailureCode.CREATE_CANCELLED
        return self._after(code, "The first request with this key was refused")

    def _after(self, code: FailureCode, message: str, details: dict[str, object] | None = None) -> Course:
        if self.keyed and is_final(code):
            raise Refused(code, message, details=details)
        return Course.BEGIN
