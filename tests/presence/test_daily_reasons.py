"""Daily's words for what went wrong, each as one of ours."""

from typing import Any

import pytest

from domain.failures import FailureCode
from presence.rooms.daily_reasons import end_reason, join_failure, may_publish

NO_NETWORK = (
    "Connection(Api(RoomLookup(RoomInfoFetchFailed(Get(hyper_util::client::legacy::Error(Connect, Custom { kind: "
    'Uncategorized, error: "failed to lookup address information: Name or service not known" }))))))'
)
"""As daily-python 0.36 says it on a machine without a network."""


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (NO_NETWORK, FailureCode.ROOM_UNREACHABLE),
        ('Failed to parse url: InvalidUrl("nonsense", RelativeUrlWithoutBase)', FailureCode.ROOM_UNREACHABLE),
        ("Connection(Api(RoomLookup(RoomInfoError(NoLongerAvailable))))", FailureCode.ROOM_UNREACHABLE),
        ("Connection(Api(RoomLookup(RoomInfoError(Unauthorized))))", FailureCode.ROOM_TOKEN_REFUSED),
        ("InvalidMeetingToken", FailureCode.ROOM_TOKEN_REFUSED),
        ('RoomInfoError(Unhandled("account-missing-payment-method"))', FailureCode.ROOM_JOIN_FAILED),
        ("meeting-full", FailureCode.ROOM_JOIN_FAILED),
    ],
)
def test_every_join_error_has_a_code(text: str, code: FailureCode) -> None:
    """The library says it in words only; what it has never said before is a join that failed."""
    assert join_failure(text) == code


@pytest.mark.parametrize("kind", ["exp-room", "no-room"])
def test_a_dead_room_is_unreachable_and_a_deleted_one(kind: str) -> None:
    """The same word means the one in a join and the other in a session."""
    assert join_failure(kind) == FailureCode.ROOM_UNREACHABLE
    assert end_reason(kind) == "room_deleted"


@pytest.mark.parametrize(
    ("local", "may"),
    [
        ({}, True),
        ({"info": {"permissions": {"canSend": True}}}, True),
        ({"info": {"permissions": {"canSend": ["camera", "microphone", "screenVideo"]}}}, True),
        ({"info": {"permissions": {"canSend": ["camera"]}}}, False),
        ({"info": {"permissions": {"canSend": False}}}, False),
    ],
)
def test_permissions_are_a_word_or_a_list(local: dict[str, Any], may: bool) -> None:
    """Where the library says nothing of them, nothing is forbidden."""
    assert may_publish(local) is may
