"""Taking tokens out of text."""

import logging
import secrets
import sys

import pytest
from livekit import api

from adapters.signing import Signer
from telemetry import redaction
from telemetry.log_lines import ChildLines, JsonLines
from telemetry.redaction import HIDDEN, Redactor, clean, hide_everywhere


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
    text = ChildLines(Redactor()).format(record)
    assert "Traceback" in text
    assert token not in text
    assert text.count(HIDDEN) == 2


def test_what_we_make_ourselves_is_hidden() -> None:
    """API keys, webhooks' secrets, session tokens, signatures of pictures, and passwords in addresses."""
    signer = Signer({"k1": b"1" * 32})
    token, address = signer.session_token("sess_1"), signer.object_address("http://api", "a/b.jpg", 9)
    signature = address.partition("signature=")[2]
    key, secret = f"gr_{secrets.token_urlsafe(32)}", f"whsec_{secrets.token_urlsafe(24)}"
    customers, link = f"ah_live_{secrets.token_hex(16)}", "lnk_01J8Z3K4M5N6P7Q8R9S0T1V2W3"
    database = "postgresql://greenroom:pass-word@db:5432/greenroom"
    for hidden, text in (
        (token, f"token {token}."),
        (signature, address),
        (key, key),
        (secret, f"'{secret}'"),
        (customers, customers),
        (link, f"no {link}"),
    ):
        assert hidden not in clean(text)
        assert HIDDEN in clean(text)
    assert clean(database) == f"postgresql://greenroom:{HIDDEN}@db:5432/greenroom"


def test_an_address_is_told_without_its_query() -> None:
    """Customers' pictures lie behind tokens of their own; where an address leads is no secret."""
    text = "GET https://pictures.example.com/a/b.jpg?token=s3cr3t-value&w=1 failed; see (HTTP://x.example?k=hidden)"
    assert clean(text) == f"GET https://pictures.example.com/a/b.jpg?{HIDDEN} failed; see (HTTP://x.example?{HIDDEN}"


def test_the_secrets_of_this_process_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password has no form that could be recognised: it is hidden because it is known, also as JSON writes it."""
    monkeypatch.setattr(redaction, "_known", set())
    hide_everywhere(['correct "horse"', "short", ""])
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "denied for %s, short", ('correct "horse"',), None)
    assert "horse" not in JsonLines().format(record)
    assert "denied" in JsonLines().format(record)
    assert clean('correct "horse" is short') == f"{HIDDEN} is short"


def test_what_operators_look_for_stays() -> None:
    """Ids, digests, addresses and names of modules are no secrets."""
    for text in (
        "sess_01J8Z3K4M5N6P7Q8R9S0T1V2W3 ended as server_lost on avatar-01j8z3k4m5n6p7q8r9s0t1v2w3",
        "a" * 64,
        "wss://rooms.example.com:7880/rtc",
        "presence.processes.media_process.MediaProcess",
        "avatars/avat_01J8Z3K4M5N6P7Q8R9S0T1V2W3/bank-4x3-warp-1-1280x960.zip",
    ):
        assert clean(text) == text
