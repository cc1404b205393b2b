"""Payloads: readable JSON, typed on arrival, in and out of the sandbox, with and without pydantic."""

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import Client

from contracts.converter import data_converter
from contracts.portraits import AvatarRef, StoredObject, StoredPortrait
from contracts.session_workflow import CreateSessionInput, RoomAddress, SessionEnded, SessionOutcome, SessionStarted
from domain.avatars import AspectRatio

ROOT = Path(__file__).parents[2]
AT = datetime(2024, 1, 15, 10, 30, 0, 123456, tzinfo=UTC)


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the process of `support.one_session` prints."""

    started: SessionStarted
    ended: SessionEnded
    outcome: SessionOutcome
    pydantic: bool


async def there_and_back(value: Any, hint: Any) -> tuple[Any, Payload]:
    """A value after a journey, and its payload."""
    (payload,) = await data_converter.encode([value])
    (back,) = await data_converter.decode([payload], [hint])
    return back, payload


VALUES: list[tuple[Any, Any]] = [
    (
        CreateSessionInput(
            session_id="sess_1",
            account_id="acct_1",
            avatar_id="avat_1",
            aspect_ratio=AspectRatio.PORTRAIT,
            room=RoomAddress(platform="livekit", url="ws://r", sealed_token="s1.x"),
            create_within=timedelta(seconds=30.5),
            metadata={"a": [1, 2.5, None, {"b": "ключ"}]},
        ),
        CreateSessionInput,
    ),
    (SessionEnded(session_id="sess_1", reason="expired", ended_at=AT), SessionEnded),
    (
        AvatarRef(
            avatar_id="avat_1",
            primary=AspectRatio.SQUARE,
            portraits=(
                StoredPortrait(
                    profile="1:1",
                    object=StoredObject(key="k", sha256="0" * 64, size=1),
                    width=1280,
                    height=1280,
                    keypoints=((1.5, 2.25),),
                ),
            ),
        ),
        AvatarRef,
    ),
    ("left", str),
    ({"a": 1}, dict[str, int]),
    ([AT], list[datetime]),
    (None, type(None)),
    (b"\x00\xff", bytes),
]


@pytest.mark.parametrize(("value", "hint"), VALUES, ids=[type(value).__name__ for value, _ in VALUES])
async def test_a_value_arrives_as_it_was_sent(value: Any, hint: Any) -> None:
    """Enums, durations, microseconds and tuples among them: equal, and of the same type."""
    back, _ = await there_and_back(value, hint)
    assert back == value
    assert type(back) is type(value)


async def test_a_payload_is_json_that_people_can_read() -> None:
    """The UI and the command line show `json/plain` as text."""
    _, payload = await there_and_back(SessionEnded(session_id="sess_1", reason="expired", ended_at=AT), SessionEnded)
    assert payload.metadata["encoding"] == b"json/plain"
    assert msgspec.json.decode(payload.data)["ended_at"] == "2024-01-15T10:30:00.123456Z"


def payload_of(text: bytes) -> Payload:
    """A payload as a history holds it."""
    return Payload(metadata={"encoding": b"json/plain"}, data=text)


async def test_old_code_reads_new_histories_and_new_code_old_ones() -> None:
    """Unknown fields are skipped, and fields that came later take their defaults."""
    newer = b'{"outcome": "ended", "reason": "expired", "a_field_of_tomorrow": [1]}'
    (found,) = await data_converter.decode([payload_of(newer)], [SessionOutcome])
    assert found == SessionOutcome(outcome="ended", reason="expired", started=None)


@pytest.mark.parametrize("text", [b'{"reason": "expired"}', b'{"outcome": 5, "reason": "expired"}', b"[]", b"{"])
async def test_a_payload_of_another_type_is_refused(text: bytes) -> None:
    """A wrong type is found where it arrives, not three steps later."""
    with pytest.raises(msgspec.MsgspecError):
        await data_converter.decode([payload_of(text)], [SessionOutcome])


@pytest.mark.parametrize("without", [False, True], ids=["with-pydantic", "without-pydantic"])
async def test_a_session_crosses_the_sandbox(temporal: Client, without: bool) -> None:
    """Updates that take and answer Structs with datetimes work in a real workflow, whatever else is installed.

    Where they do not, the workflow's task fails for ever and the update hangs: the process has 40 s.
    """
    command = [sys.executable, "-W", "error", "-m", "support.one_session"]
    arguments = [temporal.service_client.config.target_host, temporal.namespace]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests")))}
    process = await asyncio.create_subprocess_exec(
        *(*command, *arguments, *(["--without-pydantic"] if without else [])),
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, trouble = await process.communicate()
    assert process.returncode == 0, trouble.decode()
    told = msgspec.json.decode(out.splitlines()[-1], type=Told)
    assert told.pydantic is not without
    assert told.started.expires_at == told.started.started_at + timedelta(seconds=600)
    assert told.ended.ended_at > told.started.started_at
    assert (told.outcome.reason, told.outcome.started) == ("ended_by_request", told.started)
