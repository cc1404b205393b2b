"""Codes of failures: which are worth another attempt, what helps against them, and what a client may see."""

import pytest

from domain.failures import RETRYABLE, SUGGESTIONS, FailureCode, Refused, Unavailable

NOT_IN_A_CREATE_OR_UPLOAD = {
    FailureCode.NOT_FOUND,
    FailureCode.METHOD_NOT_ALLOWED,
    FailureCode.SESSION_NOT_FOUND,
    FailureCode.INVALID_SESSION_TOKEN,
    # The documented 401 is a plain string (contract 1, shape 2): there is no place for a suggestion.
    FailureCode.API_KEY_REQUIRED,
    FailureCode.INVALID_API_KEY,
    FailureCode.API_KEY_DEACTIVATED,
}


@pytest.mark.parametrize("code", sorted(set(FailureCode) - NOT_IN_A_CREATE_OR_UPLOAD))
def test_every_code_of_a_create_or_upload_says_what_helps(code: FailureCode) -> None:
    """A client that is refused learns what to do next, in a sentence."""
    assert SUGGESTIONS[code].endswith(".")


def test_a_code_is_its_own_name() -> None:
    """What the code says, the wire says; it never changes."""
    assert {code.name: code.value for code in FailureCode} == {code.name: code.name for code in FailureCode}


def test_only_troubles_that_pass_are_worth_another_attempt() -> None:
    """A verdict, a full plan and a dead room stay what they are; our own parts and a picture's host may come back."""
    assert {"TEMPORARILY_UNAVAILABLE", "INTERNAL_ERROR", "IMAGE_URL_UNREACHABLE", "WEBHOOK_NOT_DELIVERED"} == RETRYABLE


def test_the_trouble_with_a_part_is_for_our_log_only() -> None:
    """Clients get a sentence without addresses; the log gets the rest."""
    error = Unavailable("postgresql://db.internal:5432 refused")
    assert error.code == FailureCode.TEMPORARILY_UNAVAILABLE
    assert "internal" in str(error)
    assert "internal" not in error.message
    assert error.details is None


def test_details_are_copied() -> None:
    """What a refusal says does not change with what it was made of; no details are None, not an empty object."""
    measured = {"faces": 2}
    refusal = Refused(FailureCode.SEVERAL_FACES, "several", details=measured)
    measured["faces"] = 3
    assert refusal.details == {"faces": 2}
    assert Refused(FailureCode.NO_FACE, "none", details={}).details is None
