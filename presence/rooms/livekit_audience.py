"""Whether anybody watches an avatar's picture in a LiveKit room; it changes no track and no subscription."""

import asyncio
import logging
from dataclasses import dataclass

from livekit import rtc

from presence.rooms.base import AudienceListener

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""How often is looked while somebody watches. The server itself waits 5 s before it says that nobody does."""
LOOK_IDLE_S = 0.2
"""How often while nobody does: so much later at the latest is somebody's return seen."""
ANSWER_S = 1.0
GRACE_S = 3.0
"""Nobody is taken for absent earlier than this after the publication."""


class Audience:
    """Tells of the first subscriber, of the last one's leaving, and of the next one's coming.

    The SDK tells only of the very first subscriber. Later ones are seen in the encoder: a room joined with `dynacast`
    lets it rest 5 s after the last one has left, and wakes it for the next.
    """

    def __init__(self, room: rtc.Room, watched: AudienceListener) -> None:
        self._watched = watched
        self._present: bool | None = None
        self._ever = False
        self._looking: asyncio.Task[None] | None = None
        room.on("local_track_subscribed", self._on_subscribed)

    def open(self, track: rtc.LocalVideoTrack) -> None:
        """Start to look at a published track."""
        self._looking = asyncio.get_running_loop().create_task(self._look(track))

    def close(self) -> None:
        """Tell no more."""
        if self._looking is not None:
            self._looking.cancel()

    def _on_subscribed(self, track: rtc.Track | None) -> None:
        if isinstance(track, rtc.LocalVideoTrack):
            self._ever = True
            self._tell(present=True)

    async def _look(self, track: rtc.LocalVideoTrack) -> None:
        await asyncio.sleep(GRACE_S)
        while True:
            seen = await look(track)
            if seen is not None:
                # Before the first subscriber the encoder works for nobody, and has been asked for no whole picture.
                self._ever = self._ever or seen.asked_for
                self._tell(present=self._ever and seen.active)
            await asyncio.sleep(LOOK_S if self._present else LOOK_IDLE_S)

    def _tell(self, *, present: bool) -> None:
        if present != self._present:
            self._present = present
            self._watched(present)


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """What a published track's encoder does."""

    active: bool
    """Is any layer being encoded?"""
    asked_for: bool
    """Did anybody ever ask for a whole picture? Each new subscriber does, through the server."""


async def look(track: rtc.LocalVideoTrack) -> Encoder | None:
    """The encoder's state; None where the SDK does not tell for now."""
    try:
        async with asyncio.timeout(ANSWER_S):
            stats = await track.get_stats()
    except Exception as error:  # noqa: BLE001 - the SDK raises bare exceptions
        log.debug("no figures of the encoder: %s", type(error).__name__)
        return None
    layers = [one.outbound_rtp.outbound for one in stats if one.WhichOneof("stats") == "outbound_rtp"]
    if not layers:
        return None
    return Encoder(
        active=any(one.active for one in layers), asked_for=any(one.pli_count or one.fir_count for one in layers)
    )
