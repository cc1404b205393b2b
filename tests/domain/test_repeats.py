"""What a repeated create gets: the first session, its answer, its refusal, or a new session (rule 1)."""

from typing import Any

import pytest

from api.errors import may_succeed_later
from domain.failures import FailureCode, Refused, is_final
from domain.repeats import Course, EarlierCreate
from domain.session import SessionStatus

CREATED, STARTED, ENDED = SessionStatus


def earlier(**facts: Any) -> EarlierCreate:
    """A create that came first, under way unless said otherwise."""
    return EarlierCreate(**{"keyed": True, "same_body": True, "expired": False, **facts})


def ended(reason: str, **facts: Any) -> EarlierCreate:
    """One whose session has ended."""
    return earlier(status=ENDED, end_reason=reason, **facts)


@pytest.mark.parametrize(
    ("first", "course"),
    [
        (earlier(), Course.JOIN),
        (earlier(status=CREATED), Course.JOIN),
        (earlier(status=STARTED), Course.ANSWER),
        (earlier(status=STARTED, expired=True), Course.ANSWER),
        (earlier(expired=True), Course.BEGIN),
        (earlier(expired=True, same_body=False), Course.BEGIN),
        (earlier(code=FailureCode.AT_CAPACITY), Course.BEGIN),
        (ended("expired", has_started=True), Course.ANSWER),
        (ended("expired", has_started=True, expired=True), Course.BEGIN),
        (ended("SERVER_LOST"), Course.BEGIN),
        (ended("ended_by_request"), Course.BEGIN),
        (earlier(keyed=False), Course.JOIN),
        (earlier(keyed=False, status=CREATED), Course.JOIN),
        (earlier(keyed=False, status=STARTED, expired=True), Course.ANSWER),
        (ended("expired", has_started=True, keyed=False), Course.BEGIN),
        (ended("NO_FACE", keyed=False), Course.BEGIN),
        (earlier(keyed=False, code=FailureCode.NO_FACE), Course.BEGIN),
    ],
)
def test_the_course_of_a_repeat(first: EarlierCreate, course: Course) -> None:
    """What lives is found; with a key an ended session too; what is worth another try gets one."""
    assert first.course() is course


@pytest.mark.parametrize(
    ("first", "code", "details"),
    [
        (earlier(same_body=False), FailureCode.IDEMPOTENCY_KEY_REUSED, None),
        (earlier(same_body=False, status=STARTED, expired=True), FailureCode.IDEMPOTENCY_KEY_REUSED, None),
        (earlier(code=FailureCode.NO_FACE, message="none", details={"faces": 0}), FailureCode.NO_FACE, {"faces": 0}),
        (ended("NO_FACE"), FailureCode.NO_FACE, None),
    ],
)
def test_a_repeat_that_is_refused(first: EarlierCreate, code: FailureCode, details: object) -> None:
    """Another body under the same key, and what was refused for good."""
    with pytest.raises(Refused) as refusal:
        first.course()
    assert (refusal.value.code, refusal.value.details) == (code, details)


@pytest.mark.parametrize("code", FailureCode)
def test_what_is_worth_another_try_is_what_clients_are_told_so_of(code: FailureCode) -> None:
    """429, 500 and 503 are no last words, nor is a picture's host that does not answer; everything else is."""
    assert is_final(code) == (not may_succeed_later(code))
