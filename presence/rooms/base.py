"""What a room is to an avatar, whatever the platform."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from domain.failures import FailureCode, Refused
from domain.session import EndReason
from presence.playback import MediaSink


@dataclass(frozen=True, kw_only=True)
class VideoFormat:
    """How the picture is sent."""

    width: int
    height: int
    fps: int
    codec: str
    """VP8, H264, VP9 or AV1."""
    bitrate: int
    """Bits a second at most."""
    simulcast: bool = False
    """Send smaller pictures besides, for viewers with little bandwidth."""


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What the room acknowledged."""

    participant_identity: str
    participant_sid: str
    room_name: str
    video_track_sid: str


@dataclass(frozen=True, kw_only=True)
class Occupancy:
    """Who is in the room besides this avatar."""

    people: int
    agents: int
    agent_there: bool | None = None
    """Is the agent there that the avatar's token names? None where it names none."""


OccupancyListener = Callable[[Occupancy], None]
AudienceListener = Callable[[bool], None]
"""Told whether anybody is subscribed to the picture, at each change."""


class AvatarRoom(MediaSink, Protocol):
    """A room that an avatar is in for once."""

    async def connect(self, url: str, token: str, *, within_s: float) -> None:
        """Enter. Refused with ROOM_TOKEN_REFUSED, ROOM_UNREACHABLE, ROOM_JOIN_FAILED or ROOM_ENCRYPTED.

        No message holds the token. From now on the room's agent may speak and interrupt.
        """

    async def publish(self) -> Publication:
        """Publish sound and picture; returns when the room has acknowledged both, and waits for no subscriber."""

    async def announce(self, state: str, reason: str = "") -> None:
        """Tell the room of the session's state; a failure is logged, never raised."""

    async def warn(self, reason: str, seconds_left: int) -> None:
        """Tell the room that the session will end soon, and as what; a failure is logged, never raised."""

    def on_return(self, listener: Callable[[], None]) -> None:
        """Call when the connection was lost for a while and is there again."""

    async def wait_lost(self) -> EndReason:
        """Why the room was lost, once it is. After ROOM_ENCRYPTED the avatar is still in it."""

    async def disconnect(self) -> None:
        """Leave. Does nothing where the room is lost already."""


_MESSAGES = {
    FailureCode.ROOM_TOKEN_REFUSED: "The room refused the token",
    FailureCode.ROOM_UNREACHABLE: "No room answered at this address",
    FailureCode.ROOM_ENCRYPTED: "The room is end-to-end encrypted",
    FailureCode.ROOM_JOIN_FAILED: "The room did not let the avatar publish",
}


def room_refused(code: FailureCode) -> Refused:
    """A refusal of the room, in our own words: an SDK's text may hold the token."""
    return Refused(code, _MESSAGES[code])
