"""Daily's words for what went wrong, as codes and reasons of ours; needs no connection.

The native library gives no codes, only text: the names of its errors as Rust prints them, and the server's own words
as its documentation lists them. Those of a refused or dead room were read there and never seen on a live room.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from domain.failures import FailureCode
from domain.session import EndReason

Meaning = TypeVar("Meaning")

_JOIN = {
    FailureCode.ROOM_TOKEN_REFUSED: ("invalidmeetingtoken", "unauthorized", "exp-token", "nbf-token", "not-allowed"),
    FailureCode.ROOM_UNREACHABLE: (
        "roominfofetchfailed", "failed to parse url", "nolongeravailable", "notyetavailable", "no-room", "exp-room",
        "nbf-room", "not-found", "does not exist", "timeout", "timed out", "unreachable",
    ),
}  # fmt: skip
_END = {
    # The library's own timer: it may have been the room's end, or the longest stay, as well as the token's end.
    EndReason.TOKEN_EXPIRED: ("ejected after timeout", "exp-token"),
    EndReason.ROOM_DELETED: ("meeting has ended", "exp-room", "no-room", "nolongeravailable"),
    EndReason.REMOVED: ("eject", "removed"),
}


def join_failure(text: str) -> FailureCode:
    """The code of an error that a join was completed with."""
    return _find(_JOIN, text) or FailureCode.ROOM_JOIN_FAILED


def end_reason(text: str) -> EndReason:
    """The end reason of a leaving that the avatar did not ask for, by the error that came with it; often none."""
    return _find(_END, text) or EndReason.ROOM_UNREACHABLE


def may_publish(local: Mapping[str, Any]) -> bool:
    """Do the avatar's permissions allow sound and picture? `canSend` is a yes or no, or a list; absent means yes."""
    can_send = local.get("info", {}).get("permissions", {}).get("canSend", True)
    return can_send if isinstance(can_send, bool) else {"camera", "microphone"} <= set(can_send)


def _find(words: Mapping[Meaning, tuple[str, ...]], text: str) -> Meaning | None:
    said = text.lower()
    return next((meant for meant, known in words.items() if any(word in said for word in known)), None)
