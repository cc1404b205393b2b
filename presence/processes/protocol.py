"""The lines of JSON between an avatar server and its media processes, one process a session; no I/O."""

from typing import Final

import msgspec

LEFT: Final = "left"
"""Reason of a Left that was asked for."""

DIED: Final = "died"
"""Reason that the parent gives a process that ended without a Left."""

CONNECT_WITHIN_MS: Final = 7_000
"""Bound of a connect: a peer that accepts and stays silent holds the SDK for 34 s."""


class Join(msgspec.Struct, frozen=True, kw_only=True, tag="join"):
    """Go into a room and show a portrait there. The token crosses here and nowhere else; `repr` hides it."""

    session_id: str
    generation: int
    platform: str
    url: str
    token: str
    portrait_path: str
    portrait_sha256: str = ""
    """Hexadecimal; checked unless empty."""
    keypoints: tuple[tuple[float, float], ...] = ()
    """Left eye, right eye, nose, mouth corners left and right, in pixels of the portrait."""
    bank_path: str = ""
    """What the renderer prepared of this portrait in this size, as one file; empty where nothing is stored."""
    width: int
    """Of the video, like the height: the portrait is scaled to it."""
    height: int
    fps: int = 25
    idle_fps: int = 12
    """Frames a second while nobody is subscribed to the picture."""
    codec: str = "VP8"
    bitrate: int = 2_000_000
    simulcast: bool = False
    renderer: str = "still"
    """A name that `presence.renderers.registry` knows."""
    frame_marker: bool = False
    av_offset_ms: int = 0
    """How much later than its sound a picture is shown; negative for earlier, down to -200."""
    connect_within_ms: int = CONNECT_WITHIN_MS
    display_name: str = ""
    """What the avatar is called in the room, where the token does not say it."""

    def __repr__(self) -> str:
        return f"Join(session_id={self.session_id!r}, generation={self.generation}, platform={self.platform!r})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("session_id", self.session_id), ("generation", self.generation), ("platform", self.platform)]


class Leave(msgspec.Struct, frozen=True, kw_only=True, tag="leave"):
    """Leave the room and exit. The reason is told to the room; the end of the pipe means the same without one."""

    reason: str = ""


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """Where a client's control socket ends; the token opens the way there, and `repr` hides it."""

    url: str
    token: str
    number: int
    grace_ms: int
    """How long the socket may be gone before the session ends."""

    def __repr__(self) -> str:
        return f"Control(url={self.url!r}, number={self.number})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("url", self.url), ("number", self.number)]


class Held(msgspec.Struct, frozen=True, kw_only=True, tag="held"):
    """The lease still holds: the server has just renewed it. Said about once a second, or the avatar leaves."""

    stop_in_ms: int | None = None
    """After how long the session ends by itself; the room is warned before."""
    stop_reason: str = ""
    control: Control | None = None
    """None as long as no client has opened a control socket."""


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag="ready"):
    """The imports are done: a join starts at once."""


class Published(msgspec.Struct, frozen=True, kw_only=True, tag="published"):
    """The SFU has acknowledged the avatar's video and audio."""

    participant_identity: str
    participant_sid: str
    room_name: str
    video_track_sid: str
    width: int
    height: int
    publish_ms: int
    """From the start of the connect to the acknowledgement."""


class JoinFailed(msgspec.Struct, frozen=True, kw_only=True, tag="join_failed"):
    """No avatar will appear; the process exits. `code` is a FailureCode, the message holds no token."""

    code: str
    message: str


class RoomSeen(msgspec.Struct, frozen=True, kw_only=True, tag="room_seen"):
    """Who is in the room besides this avatar. Sent at the join and on changes, never while the SDK reconnects."""

    sequence: int
    people: int
    """Participants of kind standard, SIP and connector."""
    agents: int
    agent_there: bool | None = None
    """Is the agent there that the avatar's token names? None where it names none."""


class Frames(msgspec.Struct, frozen=True, kw_only=True):
    """Frames since the join, by what became of them, and how often the sound ran dry."""

    shown: int
    """Repeated ones included."""
    repeated: int
    skipped: int
    rested: int
    starved: int
    watched: bool
    """Is anybody subscribed to the picture?"""


class Served(msgspec.Struct, frozen=True, kw_only=True, tag="served"):
    """Four times a second: how long the avatar has been visible, by the process's monotonic clock."""

    served_ms: int
    frames: Frames | None = None


class Traced(msgspec.Struct, frozen=True, kw_only=True, tag="traced"):
    """A part of a join that is done, by the wall clock in nanoseconds."""

    name: str
    """One of `telemetry.spans`."""
    began_ns: int
    ended_ns: int


class Spoke(msgspec.Struct, frozen=True, kw_only=True, tag="spoke"):
    """An utterance is over."""

    began_ns: int
    """When its first sound came, by the wall clock."""
    ended_ns: int
    played_ms: int
    """How much of it was heard."""
    interrupted: bool
    latency_ms: int | None = None
    """From its first sound to the moment that played; None where it had to wait for another, or was never heard."""


class Speaks(msgspec.Struct, frozen=True, kw_only=True, tag="speaks"):
    """The avatar begins to speak, or has nothing more to say."""

    speaking: bool


class Asks(msgspec.Struct, frozen=True, kw_only=True, tag="asks"):
    """The process came back to its room, or to itself, after a while: does its generation still hold?"""


class Left(msgspec.Struct, frozen=True, kw_only=True, tag="left"):
    """The avatar is out of the room; the process exits. `reason` is an EndReason, or LEFT."""

    reason: str
    served_ms: int


Command = Join | Held | Leave
Event = Ready | Published | JoinFailed | RoomSeen | Served | Speaks | Asks | Left | Traced | Spoke

_encoder = msgspec.json.Encoder()
_commands: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)
_events: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def encode_line(message: Command | Event) -> bytes:
    """One message as one line."""
    return _encoder.encode(message) + b"\n"


def decode_command(line: bytes) -> Command:
    """The command of a line; msgspec.MsgspecError if it is none."""
    return _commands.decode(line)


def decode_event(line: bytes) -> Event:
    """The event of a line; msgspec.MsgspecError if it is none."""
    return _events.decode(line)
