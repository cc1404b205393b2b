"""Taking tokens out of text."""

import logging
import sys

from livekit import api

from presence.redaction import HIDDEN, RedactingFormatter, Redactor


def test_a_token_is_hidden_wherever_it_stands() -> None:
    """A JWT disappears from a message and from an address, and the rest stays."""
    token = api.AccessToken("key", "s" * 40).with_identity("a").to_jwt()
    text = Redactor().clean(f"401 - invalid token: {token}, error; ws://host/rtc?access_token={token}&x=1")
    assert token.split(".")[1] not in text
    assert token.split(".")[2] not in text
    assert text == f"401 - invalid token: {HIDDEN}, error; ws://host/rtc?access_token={HIDDEN}&x=1"


def test_a_token_that_is_no_jwt_is_hidden_once_it_is_known() -> None:
    """A text that only we know to be secret is hidden too."""
    redactor = Redactor()
    redactor.hide("garbage")
    redactor.hide("")
    assert redactor.clean("token=garbage.") == f"token={HIDDEN}."


def test_a_traceback_is_cleaned_too() -> None:
    """The formatter hides tokens in arguments and in exceptions."""
    token = api.AccessToken("key", "s" * 40).to_jwt()
    try:
        int(token)
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "failed %s", (token,), sys.exc_info())
    text = RedactingFormatter(Redactor()).format(record)
    assert "Traceback" in text
    assert token not in text
    assert text.count(HIDDEN) == 2
