"""What an avatar shows the API when it dials a control line: an HMAC of session and generation (design rule 19).

Its key is made of a sealing key, which exactly those two hold. No session token is accepted in its place, nor is it
anywhere else.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping


class RelayTokens:
    """Makes and checks relay tokens; `keys` are the sealing keys by id, newest first."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = {key_id: hmac.digest(key, b"greenroom relay", hashlib.sha256) for key_id, key in keys.items()}
        self._newest = next(iter(keys))

    def make(self, session_id: str, generation: int) -> str:
        """The token of one generation of a session's avatar."""
        return self._sign(self._newest, session_id, generation)

    def accepts(self, token: str, session_id: str, generation: int) -> bool:
        """Was it made for this generation of this session? In constant time."""
        key_id = token.partition(".")[0]
        if key_id not in self._keys:
            return False
        return hmac.compare_digest(self._sign(key_id, session_id, generation).encode(), token.encode())

    def _sign(self, key_id: str, session_id: str, generation: int) -> str:
        mac = hmac.digest(self._keys[key_id], f"{session_id}\n{generation}".encode(), hashlib.sha256)
        return f"{key_id}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
