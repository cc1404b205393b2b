"""One avatar in one room, from the join to the end; decides nothing about the session's life."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress

import cv2

from domain.failures import FailureCode, Refused
from domain.leases import Stop
from domain.session import EndReason
from presence.holding import Hold
from presence.pictures import warm_up as warm_pictures
from presence.playback import Playback
from presence.processes.protocol import (
    Asks,
    Event,
    Frames,
    Held,
    Join,
    Published,
    RoomSeen,
    Served,
    Speaks,
    Spoke,
    Traced,
)
from presence.renderers.registry import find_renderer
from presence.rooms.base import (
    AudienceListener,
    AvatarRoom,
    Occupancy,
    OccupancyListener,
    Publication,
    VideoFormat,
    room_refused,
)
from presence.rooms.livekit import LiveKitRoom
from presence.rooms.livekit import warm_up as warm_rooms
from presence.scene import STANDS_IN, Scene, SceneLoader
from presence.speech.controlled import ControlledSpeech
from presence.speech.soxr import SoxrResampler
from presence.speech.speech_queue import SpeechQueue, Utterance
from telemetry.spans import CONNECT, FIRST_FRAME, PUBLISH

log = logging.getLogger(__name__)

PUBLISH_WITHIN_S = 3.0
SERVED_EVERY_S = 0.25
SPEECH_LOOK_S = 0.1
GOODBYE_S = 0.1
"""What the last message has to leave the machine."""
LIVEKIT = ("livekit", "proxy")
"""Platforms whose rooms are LiveKit's: the customer's own, and those that were made for a session."""
DAILY = "daily"
USUAL_SIZE = (1280, 960)


def open_room(
    join: Join, video: VideoFormat, seen: OccupancyListener, watched: AudienceListener, speech: SpeechQueue
) -> AvatarRoom:
    """A room of the join's platform; Refused where this server cannot join such rooms."""
    if join.platform in LIVEKIT:
        return LiveKitRoom(video, seen, watched, speech)
    if join.platform == DAILY:
        from presence.rooms.daily import DailyRoom  # noqa: PLC0415 - a room that most servers never see

        with suppress(ImportError):
            return DailyRoom(video, seen, watched, join.display_name)
        log.error("the extra `daily` is not installed: daily-python is missing")
    raise Refused(FailureCode.ROOM_PLATFORM_UNAVAILABLE, f"This server joins no rooms of platform {join.platform}")


def warm_up() -> None:
    """Do what a join would otherwise wait for; spares have the time."""
    # A session has a process of its own: threads of OpenCV would only take cores from other sessions.
    cv2.setNumThreads(1)
    warm_pictures(*USUAL_SIZE)
    warm_rooms()
    find_renderer(STANDS_IN)


class AvatarSession:
    """Joins as it was told, plays until the room is lost, and reports on the way."""

    def __init__(self, join: Join, report: Callable[[Event], None]) -> None:
        self._join = join
        self._report = report
        self._sequence = 0
        self._began_at: float | None = None
        """When it began to join, until the first frame was told."""
        self._staged_at = 0.0
        self._published_at: float | None = None
        self.playback: Playback | None = None
        """What plays, once the avatar is in the room."""
        self._speech = SpeechQueue(asyncio.get_running_loop(), SoxrResampler)
        self._speech.on_over = self._on_spoke
        self._room = open_room(join, self._video_format(), self._on_seen, self._on_watched, self._speech)
        self._hold = Hold(self._room.warn, self._ask)
        self._control = ControlledSpeech(self._speech)
        self._room.on_return(self._ask)

    @property
    def published(self) -> bool:
        """Has the room acknowledged the picture?"""
        return self._published_at is not None

    @property
    def served_ms(self) -> int:
        """How long the picture has been published, 0 before."""
        return 0 if self._published_at is None else int((time.monotonic() - self._published_at) * 1000)

    async def run(self) -> EndReason:
        """Join and play; returns why the room was lost. Refused if the join fails."""
        loader = SceneLoader(self._join)
        started = time.monotonic()
        await self._room.connect(self._join.url, self._join.token, within_s=self._join.connect_within_ms / 1000)
        self._report(_traced(CONNECT, started, time.monotonic()))
        scene = await self._first_scene(loader)
        playback = self.playback = self._stage(scene)
        async with asyncio.TaskGroup() as tasks:
            # Frames flow before the publication ends, so that the first one is encoded the moment it is wanted.
            playing = tasks.create_task(playback.run())
            try:
                publication = await self._publish()
            except BaseException:
                playing.cancel()
                raise
            self._on_published(publication, started)
            changing = _change_scene(playback, loader, scene)
            works = (self._report_served(), self._report_speech(), changing)
            beside = [tasks.create_task(work) for work in works]
            await self._room.announce("connected")
            lost = tasks.create_task(self._room.wait_lost())
            ends = (lost, *map(tasks.create_task, (self._hold.wait_over(), self._control.wait_lost())))
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            reason, in_room = next(task.result() for task in ends if task.done()), not lost.done()
            for task in (*ends, playing, *beside):
                task.cancel()
        if in_room:
            await self.leave(reason)
        return reason

    def renewed(self, held: Held) -> None:
        """The server says that the lease still holds, and when the session ends."""
        stop = None if held.stop_in_ms is None else Stop(in_s=held.stop_in_ms / 1000, reason=held.stop_reason)
        self._hold.renewed(stop)
        if held.control is not None:
            self._control.told(held.control)

    async def leave(self, reason: str) -> None:
        """Tell the room why, and leave it; at most a second, whatever the room does."""
        # While it closes, the SDK reports its own half-done negotiations as errors. Nothing that follows matters.
        logging.getLogger("livekit").setLevel(logging.CRITICAL)
        await self._control.aclose()
        if self._published_at is not None:
            await self._room.announce("disconnected", reason)
            # The SDK is content when the message is queued: whoever disconnects at once may take it along.
            await asyncio.sleep(GOODBYE_S)
        await self._room.disconnect()

    async def _publish(self) -> Publication:
        self._staged_at = time.monotonic()
        try:
            async with asyncio.timeout(PUBLISH_WITHIN_S):
                return await self._room.publish()
        except TimeoutError:
            log.warning("the room acknowledged no publication within %.1f s", PUBLISH_WITHIN_S)
            raise room_refused(FailureCode.ROOM_JOIN_FAILED) from None

    def _on_published(self, publication: Publication, started: float) -> None:
        self._published_at = time.monotonic()
        self._report(_traced(PUBLISH, self._staged_at, self._published_at))
        self._began_at = started
        self._tell_first_frame()
        self._report(
            Published(
                participant_identity=publication.participant_identity,
                participant_sid=publication.participant_sid,
                room_name=publication.room_name,
                video_track_sid=publication.video_track_sid,
                width=self._join.width,
                height=self._join.height,
                publish_ms=int((self._published_at - started) * 1000),
            )
        )

    async def _report_speech(self) -> None:
        speaking = False
        while True:
            if speaking == self._speech.quiet:
                speaking = not speaking
                self._report(Speaks(speaking=speaking))
            await asyncio.sleep(SPEECH_LOOK_S)

    def _ask(self) -> None:
        """Ask whether this generation still holds: while it was away, another may have been sent."""
        self._report(Asks())

    async def _report_served(self) -> None:
        while True:
            await asyncio.sleep(SERVED_EVERY_S)
            self._tell_first_frame()
            self._report(Served(served_ms=self.served_ms, frames=self._frames()))

    def _tell_first_frame(self) -> None:
        """Say once when it was shown, which may be a moment after the publication."""
        first = self.playback.first_shown_at if self.playback is not None else None
        if self._began_at is not None and first is not None:
            self._report(_traced(FIRST_FRAME, self._began_at, first))
            self._began_at = None

    def _frames(self) -> Frames | None:
        playback = self.playback
        if playback is None:
            return None
        counts = {name: getattr(playback, name) for name in ("shown", "repeated", "skipped", "rested", "watched")}
        return Frames(**counts, starved=playback.clock.starved)

    def _on_spoke(self, over: Utterance) -> None:
        self._report(
            Spoke(
                began_ns=_wall_ns(over.began_at),
                ended_ns=_wall_ns(over.ended_at),
                played_ms=round(over.played_s * 1000),
                interrupted=over.interrupted,
                latency_ms=None if over.latency_s is None else max(round(over.latency_s * 1000), 0),
            )
        )

    async def _first_scene(self, loader: SceneLoader) -> Scene:
        try:
            return await loader.first()
        except (OSError, ValueError) as error:
            log.exception("the portrait cannot be shown")
            raise Refused(FailureCode.INTERNAL_ERROR, "The portrait cannot be shown") from error

    def _stage(self, scene: Scene) -> Playback:
        join = self._join
        playback = Playback(
            sink=self._room,
            renderer=scene.renderer,
            track=scene.track,
            size=(join.width, join.height),
            fps=join.fps,
            av_offset_s=join.av_offset_ms / 1000,
            idle_fps=join.idle_fps,
        )
        playback.feed = self._speech
        self._speech.drop_lead = playback.drop_lead
        return playback

    def _on_watched(self, watched: bool) -> None:
        if self.playback is not None:
            self.playback.watched = watched

    def _on_seen(self, occupancy: Occupancy) -> None:
        self._sequence += 1
        self._report(
            RoomSeen(
                sequence=self._sequence,
                people=occupancy.people,
                agents=occupancy.agents,
                agent_there=occupancy.agent_there,
            )
        )

    def _video_format(self) -> VideoFormat:
        join = self._join
        return VideoFormat(
            width=join.width,
            height=join.height,
            fps=join.fps,
            codec=join.codec,
            bitrate=join.bitrate,
            simulcast=join.simulcast,
        )


def _traced(name: str, began: float, ended: float) -> Traced:
    """A part of the join, between two moments of the monotonic clock (the event loop's, too)."""
    return Traced(name=name, began_ns=_wall_ns(began), ended_ns=_wall_ns(ended))


def _wall_ns(moment: float) -> int:
    """The wall clock's time at a moment of the monotonic clock."""
    return time.time_ns() - int((time.monotonic() - moment) * 1e9)


async def _change_scene(playback: Playback, loader: SceneLoader, playing: Scene) -> None:
    """Show what was ordered as soon as it is there, where something stands in for it."""
    ordered = await loader.then(playing)
    if ordered is not None:
        playback.change_scene(ordered.renderer, ordered.track)
        log.info("what was ordered moves the picture now")
