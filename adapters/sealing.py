"""Secrets that must cross Temporal, sealed: AES-256-GCM bound to their session, their field and the key's id.

Only the API (which seals) and the avatar role (which opens) hold the keys (design rule 18).
"""

import base64
import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


class CannotOpen(Exception):
    """The sealed text was made with another key, for another session or field, or was changed."""


class Sealer:
    """Seals with the newest key and opens with any that is still known; `keys` come newest first, 32 bytes each."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._newest = next(iter(keys))

    def seal(self, secret: str, *, session_id: str, field: str) -> str:
        """The secret as `key id.base64`, readable only for the same session and field."""
        nonce = os.urandom(NONCE_BYTES)
        about = _about(self._newest, session_id, field)
        sealed = self._ciphers[self._newest].encrypt(nonce, secret.encode(), about)
        return f"{self._newest}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, *, session_id: str, field: str) -> str:
        """The secret; CannotOpen where any of key, session, field or bytes is not the one it was sealed with."""
        key_id, _, encoded = sealed.partition(".")
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise CannotOpen("sealed with a key that is not known here")
        try:
            raw = base64.urlsafe_b64decode(encoded)
            return cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], _about(key_id, session_id, field)).decode()
        except (InvalidTag, ValueError) as error:
            raise CannotOpen("the sealed text does not belong here") from error


def _about(key_id: str, session_id: str, field: str) -> bytes:
    return f"{key_id}\n{session_id}\n{field}".encode()
