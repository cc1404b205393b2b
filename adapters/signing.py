"""What clients hold instead of stored secrets: session tokens and picture addresses, both HMAC-SHA-256.

Nothing is stored: a token is checked by making it again. The key's id stands in front, so that keys can be changed.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import quote, urlencode


class Signer:
    """Signs with the newest key and accepts any that is still known; `keys` come newest first, 32 bytes each."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = dict(keys)
        self._newest = next(iter(keys))

    def session_token(self, session_id: str) -> str:
        """The token that a session's control connection shows."""
        return self._sign(self._newest, "session-token", session_id)

    def is_session_token(self, token: str, session_id: str) -> bool:
        """Is this the session's token? In constant time."""
        return self._accepts(token, "session-token", session_id)

    def body_mac(self, body: bytes) -> str:
        """What is kept of a request's body, to recognise it by: who reads it cannot even guess a body's content."""
        return self._sign(self._newest, "body", hashlib.sha256(body).hexdigest())

    def is_body_mac(self, mac: str, body: bytes) -> bool:
        """Was this made of the same body? In constant time."""
        return self._accepts(mac, "body", hashlib.sha256(body).hexdigest())

    def receipt(self, digest: str) -> str:
        """What proves that a receipt was written here: of the digest of what it says."""
        return self._sign(self._newest, "receipt", digest)

    def object_address(self, base: str, key: str, expires: int) -> str:
        """An address below `base` at which the API serves an object until `expires` (Unix seconds)."""
        query = urlencode({"expires": expires, "signature": self._sign(self._newest, "object", key, str(expires))})
        return f"{base}/files/{quote(key)}?{query}"

    def is_object_signature(self, signature: str, key: str, expires: int) -> bool:
        """Was this address signed here for this object and expiry? In constant time."""
        return self._accepts(signature, "object", key, str(expires))

    def _sign(self, key_id: str, *parts: str) -> str:
        mac = hmac.new(self._keys[key_id], "\n".join(parts).encode(), hashlib.sha256).digest()
        return f"{key_id}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"

    def _accepts(self, signed: str, *parts: str) -> bool:
        key_id = signed.partition(".")[0]
        return key_id in self._keys and hmac.compare_digest(self._sign(key_id, *parts).encode(), signed.encode())
