"""Taking tokens out of text before anybody can read it; keeps no text."""

import logging
import re

_JWT = re.compile(r"eyJ[\w-]{8,}(?:\.[\w-]*){0,2}")
HIDDEN = "[token]"


class Redactor:
    """Hides JSON Web Tokens and every secret it was told of."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()

    def hide(self, secret: str) -> None:
        """Hide this text from now on, whatever it looks like."""
        if secret:
            self._secrets.add(secret)

    def clean(self, text: str) -> str:
        """The text without tokens."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return _JWT.sub(HIDDEN, text)


class RedactingFormatter(logging.Formatter):
    """Formats a record, traceback included, and hides the tokens in the result."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__("%(levelname)s %(name)s %(message)s")
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """The record as text without tokens."""
        return self._redactor.clean(super().format(record))
