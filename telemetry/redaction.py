"""Taking secrets out of text before anybody can read it; keeps no text."""

import re

_JWT = re.compile(r"eyJ[\w-]{8,}(?:\.[\w-]*){0,2}")
_OURS = re.compile(r"\b(?:gr|whsec)_[\w+/=-]{20,}|(?<![\w.-])[\w-]{1,32}\.[\w-]{43}(?![\w-])")
"""API keys, webhooks' secrets, and what the API signs: a key's id, a dot, and 32 bytes as base64."""
_PASSWORD = re.compile(r"(://[^\s/:@]*:)[^\s/@]+(?=@)")
HIDDEN = "[token]"


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


def clean(text: str) -> str:
    """The text without what looks like a secret."""
    text = _JWT.sub(HIDDEN, text)
    return _PASSWORD.sub(rf"\1{HIDDEN}", _OURS.sub(HIDDEN, text))
