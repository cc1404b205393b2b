"""LiveKit's words for what went wrong, each as one of ours."""

import pytest
from livekit.rtc import DisconnectReason

from domain.failures import FailureCode
from domain.session import EndReason
from presence.rooms.livekit_reasons import end_reason, join_failure, websocket_url

NAMED = {
    "PARTICIPANT_REMOVED": EndReason.REMOVED,
    "ROOM_DELETED": EndReason.ROOM_DELETED,
    "ROOM_CLOSED": EndReason.ROOM_DELETED,
    "DUPLICATE_IDENTITY": EndReason.IDENTITY_TAKEN,
}


@pytest.mark.parametrize("name", DisconnectReason.keys())
def test_every_disconnect_has_a_reason(name: str) -> None:
    """What the SDK knows by name keeps its meaning; all else is a room that is out of reach."""
    assert end_reason(DisconnectReason.Value(name)) == NAMED.get(name, EndReason.ROOM_UNREACHABLE)


def test_a_disconnect_of_a_later_sdk_has_a_reason_too() -> None:
    """A number that nobody has named yet."""
    assert end_reason(9_999) == EndReason.ROOM_UNREACHABLE


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("engine: signal failure: client error: 401 - invalid token", FailureCode.ROOM_TOKEN_REFUSED),
        ("engine: signal failure: client error: 403 - no", FailureCode.ROOM_TOKEN_REFUSED),
        ("engine: signal failure: client error: 404 - not found", FailureCode.ROOM_UNREACHABLE),
        ("engine: signal failure: server error: 503 - ", FailureCode.ROOM_UNREACHABLE),
        ("engine: signal failure: failed to parse the url", FailureCode.ROOM_UNREACHABLE),
        ("wait_pc_connection timed out", FailureCode.ROOM_UNREACHABLE),
        ("something that nobody has seen", FailureCode.ROOM_JOIN_FAILED),
    ],
)
def test_every_connect_error_has_a_code(text: str, code: FailureCode) -> None:
    """The SDK says it in words only."""
    assert join_failure(text) == code


def test_addresses_of_the_web_are_addresses_of_sockets() -> None:
    """Agents send their LIVEKIT_URL as it is."""
    assert websocket_url("https://host:1/x") == "wss://host:1/x"
    assert websocket_url("HTTP://host") == "ws://host"
    assert websocket_url("wss://host") == "wss://host"
