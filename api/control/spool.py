"""Base64 text as it comes, decoded into a file that stays in memory while it is small; it is read once, then gone."""

import binascii
import re
import tempfile
from typing import IO

IN_MEMORY = 512 * 1024
PIECE = 32 * 1024
_LINE_BREAKS = re.compile(r"\\[nr]|\\/")


class NotBase64(ValueError):
    """The text is no base64."""


class Spool:
    """Raw sound of one utterance."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed by close
        self._carried = ""
        self._ended = False
        self.length = 0
        """Bytes so far."""

    def feed(self, text: str) -> None:
        """Add base64 text, as it stands in JSON. NotBase64 if it is none."""
        if "\\" in text:  # some encoders break lines, or escape slashes
            text = _LINE_BREAKS.sub(lambda found: "/" if found[0] == "\\/" else "", text)
        text = self._carried + text
        whole = len(text) - len(text) % 4
        self._carried = text[whole:]
        if whole:
            self._write(text[:whole])

    def finish(self) -> None:
        """Nothing more comes. NotBase64 where half a character is left."""
        if self._carried:
            self._write(self._carried + "=" * (-len(self._carried) % 4))
            self._carried = ""

    def read(self, at: int, at_most: int = PIECE) -> bytes:
        """Some of the sound, from a byte on; nothing at its end."""
        self._file.seek(at)
        return self._file.read(at_most)

    def close(self) -> None:
        """Forget it."""
        self._file.close()

    def _write(self, text: str) -> None:
        if self._ended:
            raise NotBase64("something follows the padding")
        self._ended = text.endswith("=")
        try:
            data = binascii.a2b_base64(text, strict_mode=True)
        except (binascii.Error, ValueError) as error:
            raise NotBase64(str(error)) from None
        self.length += len(data)
        self._file.write(data)
