"""A LiveKit room as an avatar sees it: publishes one voice and one picture, takes its agent's speech, no tracks."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping

from livekit import rtc
from livekit.rtc import TrackSource

from domain.failures import FailureCode
from domain.session import EndReason
from presence.pictures import Picture
from presence.rooms.base import AudienceListener, OccupancyListener, Publication, VideoFormat, room_refused
from presence.rooms.livekit_audience import Audience
from presence.rooms.livekit_census import Census
from presence.rooms.livekit_reasons import end_reason, join_failure, websocket_url
from presence.rooms.livekit_return import BACK_WITHIN_S, Comeback
from presence.rooms.livekit_speech import LiveKitSpeech
from presence.speech.conversion import SAMPLE_RATE, Sound, SpeechFormat
from presence.speech.soxr import SoxrResampler
from presence.speech.speech_queue import SpeechQueue
from telemetry.redaction import Redactor

log = logging.getLogger(__name__)

STATE_TOPIC = "session.state"
WARNING_TOPIC = "session.warning"
_QUEUE_MS = 400
_ANNOUNCE_WITHIN_S = 0.3
_DISCONNECT_WITHIN_S = 0.5


def warm_up() -> None:
    """Let the SDK make its first objects; needs a running event loop."""
    source = rtc.VideoSource(2, 2)
    rtc.LocalVideoTrack.create_video_track("warm-up", source)
    rtc.AudioSource(SAMPLE_RATE, 1, queue_size_ms=_QUEUE_MS, loop=asyncio.get_running_loop())
    SoxrResampler(SpeechFormat().rate)


class LiveKitRoom:
    """One stay of one avatar. Tracks are made while it connects: they take the SDK as long as a tenth of a connect."""

    def __init__(
        self, video: VideoFormat, seen: OccupancyListener, watched: AudienceListener, speech: SpeechQueue
    ) -> None:
        loop = self._loop = asyncio.get_running_loop()
        self._format = video
        self._redactor = Redactor()
        self._room = rtc.Room(loop)
        self._lost: asyncio.Future[EndReason] = loop.create_future()
        self._connecting: asyncio.Future[None] | None = None
        self._census = Census(self._room, seen)
        self._audience = Audience(self._room, watched)
        self._speech = LiveKitSpeech(self._room, speech)
        self._comeback = Comeback(self._room, self._on_stayed_away)
        self._room.on("disconnected", self._on_disconnected)
        self._room.on("track_published", self._on_published_by_others)

    async def connect(self, url: str, token: str, *, within_s: float) -> None:
        """Enter. Refused with a ROOM_ code; no message holds the token."""
        self._redactor.hide(token)
        # With dynacast nothing is encoded once the last subscriber has been gone for 5 s.
        options = rtc.RoomOptions(auto_subscribe=False, dynacast=True)
        self._connecting = asyncio.ensure_future(self._room.connect(websocket_url(url), token, options))
        await asyncio.sleep(0)  # the request leaves before the tracks keep this thread busy
        self._make_tracks()
        try:
            async with asyncio.timeout(within_s):
                await self._connecting
        except TimeoutError:
            log.warning("no room answered within %.1f s", within_s)
            raise room_refused(FailureCode.ROOM_UNREACHABLE) from None
        except rtc.ConnectError as error:
            log.warning("connect failed: %s", self._redactor.clean(error.message))
            raise room_refused(join_failure(error.message)) from None
        if not self._may_publish():
            log.warning("the token does not allow to publish sound and picture")
            raise room_refused(FailureCode.ROOM_JOIN_FAILED)
        if self._others_encrypt():
            log.warning("the others encrypt what they publish, and the avatar has no key")
            raise room_refused(FailureCode.ROOM_ENCRYPTED)
        self._speech.enter()

    def _make_tracks(self) -> None:
        self._audio = rtc.AudioSource(SAMPLE_RATE, 1, queue_size_ms=_QUEUE_MS, loop=self._loop)
        self._video = rtc.VideoSource(self._format.width, self._format.height)
        self._audio_track = rtc.LocalAudioTrack.create_audio_track("avatar_audio", self._audio)
        self._video_track = rtc.LocalVideoTrack.create_video_track("avatar_video", self._video)

    async def publish(self) -> Publication:
        """Publish sound and picture; returns when the room has acknowledged both, and waits for no subscriber."""
        me = self._room.local_participant
        publishing = asyncio.gather(
            me.publish_track(self._video_track, self._video_options()),
            me.publish_track(
                self._audio_track, rtc.TrackPublishOptions(source=TrackSource.SOURCE_MICROPHONE, dtx=False)
            ),
        )
        try:
            await asyncio.wait((publishing, self._lost), return_when=asyncio.FIRST_COMPLETED)
            if not publishing.done():
                log.warning("lost the room while publishing: %s", self._lost.result())
                encrypted = self._lost.result() is EndReason.ROOM_ENCRYPTED
                raise room_refused(FailureCode.ROOM_ENCRYPTED if encrypted else FailureCode.ROOM_JOIN_FAILED)
            video, _ = publishing.result()
        except rtc.participant.PublishTrackError as error:
            log.warning("publish failed: %s", self._redactor.clean(error.message))
            raise room_refused(FailureCode.ROOM_JOIN_FAILED) from None
        finally:
            publishing.cancel()
        self._census.open()
        self._audience.open(self._video_track)
        return Publication(
            participant_identity=me.identity,
            participant_sid=me.sid,
            room_name=self._room.name,
            video_track_sid=video.sid,
        )

    async def push_audio(self, samples: Sound) -> None:
        """Queue mono samples at 48 kHz in the SDK's own queue."""
        await self._audio.capture_frame(rtc.AudioFrame(samples.tobytes(), SAMPLE_RATE, 1, len(samples)))

    def clear_audio(self) -> None:
        """Forget every sample that is queued and not played."""
        self._audio.clear_queue()

    def push_video(self, picture: Picture) -> None:
        """Show a picture now; the SDK copies it before this returns."""
        frame = rtc.VideoFrame(picture.width, picture.height, rtc.VideoBufferType.I420, picture.data)
        self._video.capture_frame(frame)

    async def announce(self, state: str, reason: str = "") -> None:
        """Tell the room of the session's state; a failure is logged, never raised."""
        await self._say(STATE_TOPIC, {"state": state} | ({"reason": reason} if reason else {}))

    async def warn(self, reason: str, seconds_left: int) -> None:
        """Tell the room that the session will end soon; a failure is logged, never raised."""
        await self._say(WARNING_TOPIC, {"type": WARNING_TOPIC, "reason": reason, "seconds_left": seconds_left})

    async def _say(self, topic: str, payload: Mapping[str, object]) -> None:
        """A packet to everybody in the room."""
        try:
            async with asyncio.timeout(_ANNOUNCE_WITHIN_S):
                await self._room.local_participant.publish_data(json.dumps(payload), reliable=True, topic=topic)
        except (TimeoutError, rtc.participant.PublishDataError):
            log.warning("the room could not be told: %s", payload)

    def on_return(self, listener: Callable[[], None]) -> None:
        """Call when the SDK has reconnected."""
        self._room.on("reconnected", listener)

    async def wait_lost(self) -> EndReason:
        """Why the room was lost, once it is."""
        return await asyncio.shield(self._lost)

    async def disconnect(self) -> None:
        """Leave. Does nothing where the room is lost already."""
        self._census.close()
        self._audience.close()
        self._speech.close()
        self._comeback.close()
        try:
            async with asyncio.timeout(_DISCONNECT_WITHIN_S):
                if self._connecting is not None:
                    # A connect cannot be called off: who exits in its midst leaves a ghost behind for 20 s.
                    await asyncio.wait({self._connecting})
                await self._room.disconnect()
        except TimeoutError:
            log.warning("the SDK did not disconnect within %.1f s", _DISCONNECT_WITHIN_S)

    def _may_publish(self) -> bool:
        # Without the grant the SDK waits for an acknowledgement that never comes.
        permissions = self._room.local_participant.permissions
        needed = {TrackSource.SOURCE_CAMERA, TrackSource.SOURCE_MICROPHONE}
        return permissions.can_publish and needed <= (set(permissions.can_publish_sources) or needed)

    def _others_encrypt(self) -> bool:
        # Of the room itself nothing is told: that it is encrypted shows in what somebody has published in it already.
        publications = (p for who in self._room.remote_participants.values() for p in who.track_publications.values())
        return any(_is_encrypted(publication) for publication in publications)

    def _video_options(self) -> rtc.TrackPublishOptions:
        return rtc.TrackPublishOptions(
            source=TrackSource.SOURCE_CAMERA,
            simulcast=self._format.simulcast,  # where it is on, a subscriber sees a small picture first
            video_codec=rtc.VideoCodec.Value(self._format.codec),
            video_encoding=rtc.VideoEncoding(max_framerate=self._format.fps, max_bitrate=self._format.bitrate),
        )

    def _on_published_by_others(self, publication: rtc.RemoteTrackPublication, _: rtc.RemoteParticipant) -> None:
        if _is_encrypted(publication):
            log.warning("somebody encrypts what they publish, and the avatar has no key")
            self._lose(EndReason.ROOM_ENCRYPTED)

    def _on_disconnected(self, reason: int) -> None:
        self._lose(end_reason(reason))

    def _on_stayed_away(self) -> None:
        log.warning("the room did not come back within %.0f s", BACK_WITHIN_S)
        self._lose(EndReason.ROOM_UNREACHABLE)

    def _lose(self, reason: EndReason) -> None:
        self._comeback.close()
        self._census.close()
        self._audience.close()
        if not self._lost.done():
            self._lost.set_result(reason)


def _is_encrypted(publication: rtc.RemoteTrackPublication) -> bool:
    return bool(publication.encryption_type != rtc.EncryptionType.NONE)
