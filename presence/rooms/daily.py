"""A Daily room as an avatar sees it: a virtual camera and microphone; takes nobody's tracks.

Never tried on a live room. Speech comes by the control socket alone. Daily evicts nobody: two avatars with one token
would both stay.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from domain.failures import FailureCode
from domain.session import EndReason
from presence.pictures import Picture
from presence.rooms.base import AudienceListener, OccupancyListener, Publication, VideoFormat, room_refused
from presence.rooms.daily_calls import completed, listener, open_library
from presence.rooms.daily_census import Census
from presence.rooms.daily_reasons import end_reason, join_failure, may_publish
from presence.rooms.daily_voice import Voice
from presence.speech.conversion import SAMPLE_RATE, Sound
from telemetry.redaction import Redactor

log = logging.getLogger(__name__)

STATE_TYPE = "session.state"
WARNING_TYPE = "session.warning"
DEFAULT_NAME = "Avatar"
CAMERA, MICROPHONE = "avatar-camera", "avatar-microphone"
VIDEO_TRACK = "camera"
"""Daily names its tracks by what they show."""
_CODECS = ("VP8", "VP9", "H264")
_OTHERS = dict.fromkeys(("camera", "microphone", "screenVideo", "screenAudio"), "unsubscribed")
_ANNOUNCE_WITHIN_S = 0.3
_DISCONNECT_WITHIN_S = 0.5
_WHY_WITHIN_S = 0.1
"""How long after the leaving its error may come; it mostly comes before."""
_STALE_AFTER_S = 5.0
"""An older error is not why the room was left."""


class DailyRoom:
    """One stay of one avatar. ImportError where the library is missing."""

    def __init__(
        self,
        video: VideoFormat,
        seen: OccupancyListener,
        watched: AudienceListener,
        name: str = "",
        *,
        library: Any = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._format = video
        self._redactor = Redactor()
        self._lost: asyncio.Future[EndReason] = self._loop.create_future()
        self._census = Census(seen, watched)
        self._returned: list[Callable[[], None]] = []
        self._joined = self._leaving = self._interrupted = False
        self._error, self._error_at = "", 0.0
        self._local: Mapping[str, Any] = {}
        library = open_library(library)
        self._camera = library.Daily.create_camera_device(CAMERA, video.width, video.height, color_format="I420")
        microphone = library.Daily.create_microphone_device(
            MICROPHONE, sample_rate=SAMPLE_RATE, channels=1, non_blocking=True
        )
        self._voice = Voice(microphone)
        self._client = library.CallClient(event_handler=listener(library, self._loop, self))
        self._client.set_user_name(name or DEFAULT_NAME)

    async def connect(self, url: str, token: str, *, within_s: float) -> None:
        """Enter. Refused with a ROOM_ code; no message holds the token. A join that takes too long goes on unheard."""
        self._redactor.hide(token)
        self._room_name = urlsplit(url).path.strip("/")
        self._client.update_subscription_profiles({"base": _OTHERS})
        settings = {"inputs": self._inputs(), "publishing": self._publishing(on=False)}
        try:
            async with asyncio.timeout(within_s):
                data, error = await completed(self._client.join, url, token, client_settings=settings)
        except TimeoutError:
            log.warning("no room answered within %.1f s", within_s)
            raise room_refused(FailureCode.ROOM_UNREACHABLE) from None
        if error:
            log.warning("join failed: %s", self._redactor.clean(str(error)))
            raise room_refused(join_failure(str(error)))
        self._joined = True
        participants = data["participants"]
        self._local = participants["local"]
        self._census.enter(participants)
        if not may_publish(self._local):
            log.warning("the token does not allow to publish sound and picture")
            raise room_refused(FailureCode.ROOM_JOIN_FAILED)

    async def publish(self) -> Publication:
        """Publish sound and picture; returns when the library says that it has, and waits for no subscriber."""
        request = completed(self._client.update_publishing, self._publishing(on=True))
        publishing = asyncio.ensure_future(request)
        try:
            await asyncio.wait((publishing, self._lost), return_when=asyncio.FIRST_COMPLETED)
            (error,) = publishing.result() if publishing.done() else (str(self._lost.result()),)
        finally:
            publishing.cancel()
        if error:
            log.warning("publish failed: %s", self._redactor.clean(str(error)))
            raise room_refused(FailureCode.ROOM_JOIN_FAILED)
        self._census.open()
        identity = self._local["id"]
        return Publication(
            participant_identity=self._local.get("info", {}).get("userId") or identity,
            participant_sid=identity,
            room_name=self._room_name,
            video_track_sid=VIDEO_TRACK,
        )

    async def push_audio(self, samples: Sound) -> None:
        """Queue mono samples at 48 kHz."""
        await self._voice.push(samples)

    def clear_audio(self) -> None:
        """Forget every sample that is queued, but for the 40 ms that the microphone has already."""
        self._voice.clear()

    def push_video(self, picture: Picture) -> None:
        """Show a picture now. ValueError if it is none of the camera's size: the library would read beyond its end."""
        wanted = self._format.width * self._format.height * 3 // 2
        frame = bytes(picture.data)
        if len(frame) != wanted or (picture.width, picture.height) != (self._format.width, self._format.height):
            raise ValueError(f"a picture of {len(frame)} bytes for a camera that takes {wanted}")
        self._camera.write_frame(frame)

    async def announce(self, state: str, reason: str = "") -> None:
        """Tell the room of the session's state; a failure is logged, never raised."""
        await self._say({"type": STATE_TYPE, "state": state} | ({"reason": reason} if reason else {}))

    async def warn(self, reason: str, seconds_left: int) -> None:
        """Tell the room that the session will end soon; a failure is logged, never raised."""
        await self._say({"type": WARNING_TYPE, "reason": reason, "seconds_left": seconds_left})

    async def _say(self, message: Mapping[str, object]) -> None:
        """An app message to everybody in the room."""
        try:
            async with asyncio.timeout(_ANNOUNCE_WITHIN_S):
                (error,) = await completed(self._client.send_app_message, message)
        except TimeoutError:
            error = "no answer"
        if error:
            log.warning("the room could not be told %s: %s", message, self._redactor.clean(str(error)))

    def on_return(self, listener: Callable[[], None]) -> None:
        """Call when the connection was interrupted and is there again."""
        self._returned.append(listener)

    async def wait_lost(self) -> EndReason:
        """Why the room was lost, once it is."""
        return await asyncio.shield(self._lost)

    async def disconnect(self) -> None:
        """Leave, where it has joined. A join under way cannot be called off: the library would wait for its end."""
        self._leaving = True
        self._census.close()
        if not self._joined or self._lost.done():
            return
        try:
            async with asyncio.timeout(_DISCONNECT_WITHIN_S):
                await completed(self._client.leave)
        except TimeoutError:
            log.warning("the library did not leave within %.1f s", _DISCONNECT_WITHIN_S)

    # --- what the library tells, on the event loop --------------------------------------------------------------------

    def on_state(self, state: str) -> None:
        """A call that is left without having been told to is lost."""
        if state == "left" and self._joined and not self._leaving:
            self._census.close()
            self._loop.call_later(_WHY_WITHIN_S, self._lose)

    def on_error(self, message: str) -> None:
        """Keep it: it may be why the room is left. Errors of requests are told to whoever made them, too."""
        self._error, self._error_at = message, self._loop.time()

    def on_network(self, status: Mapping[str, Any]) -> None:
        """Count nobody while it is interrupted."""
        if "interrupted" in status.values():
            self._interrupted = True
            self._census.close()
        elif self._interrupted and "connected" in status.values():
            self._interrupted = False
            self._census.settle()
            for told in self._returned:
                told()

    def on_present(self, participant: Mapping[str, Any]) -> None:
        """Somebody is there."""
        self._census.present(participant)

    def on_absent(self, participant: Mapping[str, Any]) -> None:
        """Somebody is gone."""
        self._census.absent(participant)

    def _lose(self) -> None:
        recent = self._loop.time() - self._error_at < _STALE_AFTER_S
        if not self._lost.done():
            log.warning("the room is lost: %s", self._redactor.clean(self._error) if recent else "no word why")
            self._lost.set_result(end_reason(self._error if recent else ""))

    def _inputs(self) -> dict[str, Any]:
        size = {"width": self._format.width, "height": self._format.height, "frameRate": self._format.fps}
        return {
            "camera": {"isEnabled": True, "settings": {"deviceId": CAMERA} | size},
            "microphone": {"isEnabled": True, "settings": {"deviceId": MICROPHONE}},
        }

    def _publishing(self, *, on: bool) -> dict[str, Any]:
        """What is sent. By itself the library would send three layers, the best of them with 680 kbit/s."""
        names = ("high", "medium", "low") if self._format.simulcast else ("low",)  # an only layer is called `low`
        layers = {
            name: {
                "maxBitrate": self._format.bitrate // 4**step,
                "maxFramerate": self._format.fps,
                "scaleResolutionDownBy": float(2**step),
            }
            for step, name in enumerate(names)
        }
        camera: dict[str, Any] = {"maxQuality": "high", "encodings": layers}
        if self._format.codec in _CODECS:
            camera["preferredCodec"] = self._format.codec
        return {
            "camera": {"isPublishing": on, "sendSettings": camera},
            "microphone": {"isPublishing": on, "sendSettings": {"channelConfig": "mono"}},
        }
