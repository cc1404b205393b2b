"""The lines between an avatar server and its media processes."""

import msgspec
import pytest

from presence.processes import protocol
from presence.processes.protocol import Join, JoinFailed, Leave, Left, Published, Ready, RoomSeen, Served

JOIN = Join(
    session_id="s1",
    generation=2,
    platform="livekit",
    url="ws://127.0.0.1:1",
    token="very-secret",
    portrait_path="portrait.jpg",
    width=1280,
    height=960,
)


@pytest.mark.parametrize("command", [JOIN, Leave(reason="expired")])
def test_a_command_survives_the_pipe(command: protocol.Command) -> None:
    """A command is one line, and reads as it was written."""
    line = protocol.encode_line(command)
    assert line.count(b"\n") == 1
    assert protocol.decode_command(line) == command


@pytest.mark.parametrize(
    "event",
    [
        Ready(),
        Published(
            participant_identity="a",
            participant_sid="PA_1",
            room_name="r",
            video_track_sid="TR_1",
            width=2,
            height=2,
            publish_ms=140,
        ),
        JoinFailed(code="ROOM_UNREACHABLE", message="No room\nanswered"),
        RoomSeen(sequence=1, people=2, agents=1),
        Served(served_ms=1000),
        Left(reason="removed", served_ms=1500),
    ],
)
def test_an_event_survives_the_pipe(event: protocol.Event) -> None:
    """An event is one line, and reads as it was written."""
    line = protocol.encode_line(event)
    assert line.count(b"\n") == 1
    assert protocol.decode_event(line) == event


@pytest.mark.parametrize(
    "line", [b"", b"hello\n", b"{}\n", b'{"type":"join"}\n', b'{"type":"served","served_ms":"x"}\n']
)
def test_a_foreign_line_is_an_error(line: bytes) -> None:
    """What is no message is never taken for one."""
    with pytest.raises(msgspec.MsgspecError):
        protocol.decode_event(line)
    with pytest.raises(msgspec.MsgspecError):
        protocol.decode_command(line)


def test_a_join_never_shows_its_token() -> None:
    """Whoever logs a join, by repr, str or rich, logs no token; the pipe alone carries it."""
    shown = f"{JOIN!r} {JOIN} {JOIN.__rich_repr__()}"
    assert "very-secret" not in shown
    assert "s1" in shown
    assert b"very-secret" in protocol.encode_line(JOIN)
