"""By what a repeated create is found: the client's Idempotency-Key, or room, participant and body (rules 1 and 5)."""

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from api.room_requests import CheckedRoom


@dataclass(frozen=True, kw_only=True)
class RepeatKey:
    """What a create is remembered under. Digests: who reads the database learns neither keys nor participants."""

    text: str
    """SHA-256 in hexadecimal."""
    keyed: bool
    """Made of the client's own Idempotency-Key."""


def repeat_key(idempotency_key: str | None, body: bytes, *, managed: bool) -> RepeatKey | None:
    """The key under which a repeat of this create is found; None where all requests for such rooms look alike."""
    if idempotency_key:
        return RepeatKey(text=_digest("key", idempotency_key), keyed=True)
    if managed:
        return None
    # The body holds the room's token: whoever sends both again is the same client.
    return RepeatKey(text=_digest("body", hashlib.sha256(body).hexdigest()), keyed=False)


def duplicate_key(account_id: str, room: CheckedRoom) -> str:
    """What two sessions of an account have in common whose avatars would be the same participant of the same room.

    Read from the token's claims, which are not verified: the room's server does that. Empty where the token names no
    room or no participant, as Daily's do not.
    """
    claims = _claims(room.token)
    video = claims.get("video")
    name, identity = (video.get("room") if isinstance(video, dict) else None), claims.get("sub")
    if not (isinstance(name, str) and name and isinstance(identity, str) and identity):
        return ""
    return _digest("duplicate", account_id, room.platform, urlsplit(room.url).netloc.lower(), name, identity)


def _claims(token: str) -> dict[str, Any]:
    """The claims of a JWT; none where it is no JWT."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - head, claims, signature
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _digest(*parts: str) -> str:
    """SHA-256 of parts, each with its length, so that no two lists give the same text."""
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
