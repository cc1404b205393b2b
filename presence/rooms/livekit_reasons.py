"""LiveKit's words for what went wrong, as codes and reasons of ours; needs no connection."""

import re

from livekit.rtc import DisconnectReason

from domain.failures import FailureCode
from domain.session import EndReason

_STATUS = re.compile(r"(?:client|server|handshake) error: (\d{3})")
_UNREACHABLE = (
    "transport connection error",
    "handshake error",
    "server error",
    "parse the url",
    "timed out",
    "timeout",
)

_REASONS = {
    DisconnectReason.PARTICIPANT_REMOVED: EndReason.REMOVED,
    DisconnectReason.ROOM_DELETED: EndReason.ROOM_DELETED,
    DisconnectReason.ROOM_CLOSED: EndReason.ROOM_DELETED,
    DisconnectReason.DUPLICATE_IDENTITY: EndReason.IDENTITY_TAKEN,
}


def end_reason(reason: int) -> EndReason:
    """The end reason of a disconnect that the avatar did not ask for."""
    return _REASONS.get(reason, EndReason.ROOM_UNREACHABLE)  # type: ignore[call-overload,no-any-return]


def join_failure(text: str) -> FailureCode:
    """The code of a connect error. The SDK gives no codes, only text: checked against livekit 1.1."""
    found = _STATUS.search(text)
    status = int(found.group(1)) if found else 0
    if status in (401, 403):
        return FailureCode.ROOM_TOKEN_REFUSED
    if status == 404 or any(word in text for word in _UNREACHABLE):  # noqa: PLR2004 - not a LiveKit server
        return FailureCode.ROOM_UNREACHABLE
    return FailureCode.ROOM_JOIN_FAILED


def websocket_url(url: str) -> str:
    """The address with http(s) as ws(s), as agents may send their LIVEKIT_URL."""
    scheme, separator, rest = url.partition("://")
    return {"http": "ws", "https": "wss"}.get(scheme.lower(), scheme.lower()) + separator + rest
