"""Taking secrets out of text before anybody can read it; keeps no text."""

import json
import re
from collections.abc import Iterable

_JWT = re.compile(r"eyJ[\w-]{8,}(?:\.[\w-]*){0,2}")
_OURS = re.compile(
    r"\b(?:gr|ah_live|whsec)_[\w+/=-]{20,}|\blnk_[0-9A-Z]{26}\b|(?<![\w.-])[\w-]{1,32}\.[\w-]{43}(?![\w-])"
)
"""API keys, webhooks' secrets, links (who knows one can use it), and what the API signs: a key's id, a dot, and 32
bytes as base64."""
_QUERY = re.compile(r"(https?://[^\s?#\"'<>\\]*\?)[^\s#\"'<>\\]+", re.IGNORECASE)
"""What follows the question mark of an address: customers' pictures have tokens there, and so have our own."""
_PASSWORD = re.compile(r"(://[^\s/:@]*:)[^\s/@]+(?=@)")
HIDDEN = "[token]"
SHORTEST = 8
"""Characters: a shorter secret would hide words that are none."""

_known: set[str] = set()


class Redactor:
    """Hides what looks like a token, key or password of an address, and every secret that it was told of."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()

    def hide(self, secret: str) -> None:
        """Hide this text from now on, whatever it looks like."""
        if secret:
            self._secrets.add(secret)

    def clean(self, text: str) -> str:
        """The text without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return clean(text)


def hide_everywhere(secrets: Iterable[str]) -> None:
    """Hide these in everything that this process cleans from now on: its own keys and passwords have no form."""
    for secret in secrets:
        if len(secret) >= SHORTEST:
            _known.update((secret, json.dumps(secret)[1:-1]))


def clean(text: str) -> str:
    """The text without what looks like a secret, and without those that this process holds."""
    for secret in _known:
        text = text.replace(secret, HIDDEN)
    text = _QUERY.sub(rf"\1{HIDDEN}", _JWT.sub(HIDDEN, text))
    return _PASSWORD.sub(rf"\1{HIDDEN}", _OURS.sub(HIDDEN, text))
