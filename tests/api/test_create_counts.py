"""Creates are counted once each, by what they were answered and where a refusal came up."""

import pytest
from temporalio.exceptions import ApplicationError

from api.create_counts import counted, staged
from api.temporal_calls import refusal_of
from domain.failures import FailureCode, Refused, Unavailable
from support.counting import Counted


def refuse(error: Exception, *, stage: str = "") -> dict[str, float]:
    """What a create counts that fails."""
    before = Counted()
    with pytest.raises(type(error)), counted(), staged(stage):
        raise error
    return before.since("creates_total")


def test_a_refusal_is_counted_where_it_came_up() -> None:
    """In the request; in Temporal, where it does not answer; in the step that the workflow names; as ours otherwise."""
    assert refuse(Refused(FailureCode.ROOM_REQUIRED, "")) == {"creates_total/ROOM_REQUIRED/request": 1}
    away = {"creates_total/TEMPORARILY_UNAVAILABLE/temporal": 1}
    assert refuse(Unavailable("Temporal"), stage="temporal") == away
    said = ApplicationError("no face", {"measured": 1}, "align_face", type="NO_FACE")
    assert refuse(refusal_of(said), stage="temporal") == {"creates_total/NO_FACE/align_face": 1}
    assert refusal_of(said).details == {"measured": 1}
    assert refuse(LookupError()) == {"creates_total/INTERNAL_ERROR/request": 1}


def test_a_create_that_starts_is_timed_and_a_repeat_is_not() -> None:
    """A repeat is answered at once, or waits for another's create."""
    before = Counted()
    with counted():
        pass
    assert before["creates_total/started/"] == before["create_seconds_count"] == 1
    with counted() as count:
        count.repeated = True
    assert (before["creates_total/repeated/"], before["create_seconds_count"]) == (1, 1)
