"""A session's metadata comes back as it was sent, and what could not be carried is refused before any work."""

from typing import Any

import pytest
from msgspec import UNSET

from api.metadata import MAX_BYTES, MAX_DEPTH, check_metadata
from domain.failures import FailureCode, Refused
from support.api_system import ROOM, ApiSystem


def nested(levels: int) -> dict[str, Any]:
    """An object of lists within lists, so many levels in all."""
    value: Any = 1
    for _ in range(levels - 1):
        value = [value]
    return {"a": value}


def test_no_metadata_is_an_empty_object() -> None:
    """The contract's default."""
    assert check_metadata(UNSET) == {}


@pytest.mark.parametrize(
    "good", [{}, {"a": "x" * (MAX_BYTES - 8)}, nested(MAX_DEPTH), {"a": [{"b": None}], "n": 2**70}]
)
def test_whatever_can_be_carried_is_taken(good: dict[str, Any]) -> None:
    """Up to the limits, and unchanged."""
    assert check_metadata(good) is good


@pytest.mark.parametrize(
    ("bad", "limit"), [({"a": "x" * (MAX_BYTES - 7)}, "max_bytes"), (nested(MAX_DEPTH + 1), "max_depth")]
)
def test_too_much_is_refused_with_its_limit(bad: dict[str, Any], limit: str) -> None:
    """One byte or one level more."""
    with pytest.raises(Refused) as caught:
        check_metadata(bad)
    assert caught.value.code == FailureCode.INVALID_METADATA
    assert limit in (caught.value.details or {})


async def test_strange_metadata_survives_the_journey(api_system: ApiSystem) -> None:
    """Numbers beyond 64 bits, deep objects and every script go through workflow, database and back."""
    metadata = {"big": 2**70, "ключ": "значение 🎭", "deep": nested(MAX_DEPTH - 1), "none": None, "f": 0.1, "": ""}
    body = {"avatar": await api_system.avatar(), "room": ROOM, "metadata": metadata}
    status, created = await api_system.request("POST", "/v1/sessions", json=body)
    assert status == 201, created
    assert created["session"]["metadata"] == metadata
    path = f"/v1/sessions/{created['session']['session_id']}"
    _, found = await api_system.request("GET", path)
    assert found["session"]["metadata"] == metadata
    await api_system.request("POST", f"{path}/end")


async def test_too_large_a_create_is_refused_and_leaves_nothing(api_system: ApiSystem) -> None:
    """Temporal would take no more than 2 MB: the client hears 400 and which part it was, not 500."""
    avatar = await api_system.avatar()
    before = await api_system.traces()
    for changes, code in (
        ({"metadata": {"a": "x" * 2**21}}, "INVALID_METADATA"),
        ({"room": {**ROOM, "token": "x" * 2**21}}, "INVALID_ROOM"),
    ):
        body = {"avatar": avatar, "room": ROOM, **changes}
        status, answer = await api_system.request("POST", "/v1/sessions", json=body)
        assert (status, answer["error"]["code"]) == (400, code)
    assert await api_system.traces() == before
