"""The room: joining it, and staying in it. These steps run on the avatar server that holds the session's lease."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from temporalio import activity
from temporalio.client import Client

from activities.failures import translated
from activities.room_reports import RoomReports
from adapters.object_cache import ObjectCache
from adapters.sealing import CannotOpen, Sealer
from contracts import steps
from contracts.portraits import StoredObject, StoredPortrait
from contracts.session_workflow import ROOM_TOKEN_FIELD, workflow_id
from database.leases import Leases
from domain.avatars import shown_size
from domain.failures import FailureCode, Refused, Unavailable
from domain.session import EndReason
from presence.processes.media_process import Ended, MediaProcess
from presence.processes.protocol import Join
from presence.processes.seats import Seats

log = logging.getLogger(__name__)

BEAT_S = 1.0
BEATS = 3
"""So often the long step heartbeats within the time in which it has to: two may be late."""
UNSURE_AFTER_S = 30.0
"""A server that could not renew for so long says so: its sessions may have been given to another (design rule 10)."""
GOES_ON_WITHIN_S = 1.0
"""A database that does not answer by then is not asked whether the avatar may leave."""
QUIET_LOOK_S = 0.1
BANK_WITHIN_S = 0.3
"""How much longer than for the portrait is waited for its bank: to make it anew takes a tenth of that."""


@dataclass(frozen=True, kw_only=True)
class VideoSettings:
    """How avatars are encoded on this server."""

    fps: int
    codec: str
    bitrate: int
    frame_marker: bool
    idle_fps: int = 12
    size: int = 0
    """The longer side in pixels; 0 is the portrait's own."""
    simulcast: bool = False
    renderer: str = "still"
    av_offset_ms: int = 0


class RoomActivities:
    """The long step only watches: the avatar's process goes on without it, until its lease is gone."""

    def __init__(
        self,
        *,
        client: Client,
        leases: Leases,
        sealer: Sealer,
        pictures: ObjectCache,
        seats: Seats,
        video: VideoSettings,
        silent_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """`silent_s` says since when this server could not renew its leases."""
        self._client = client
        self._leases = leases
        self._sealer = sealer
        self._pictures = pictures
        self._seats = seats
        self._video = video
        self._silent_s = silent_s

    @steps.join_room.implementation
    async def join_room(self, value: steps.JoinRoomInput) -> steps.JoinRoomResult:
        """Put the avatar into the room; returns when its video is published. A repeat finds it there."""
        with translated():
            await self._check_lease(value.session_id, value.generation)
            published = await self._seats.sit(await self._order(value))
        return steps.JoinRoomResult(
            participant_identity=published.participant_identity,
            participant_sid=published.participant_sid,
            room_name=published.room_name,
            video_track_sid=published.video_track_sid,
            width=published.width,
            height=published.height,
            publish_ms=published.publish_ms,
        )

    @steps.stay_in_room.implementation
    async def stay_in_room(self, value: steps.StayInRoomInput) -> steps.StayInRoomResult:
        """Watch the avatar until it leaves or is told to. Only a requested cancellation means leave (rule 10)."""
        process = self._seats.get(value.session_id, value.generation)
        if process is None:
            with translated():
                raise Refused(FailureCode.SERVER_LOST, "this server does not serve the session")
        beating = asyncio.create_task(_beat(process))
        workflow = self._client.get_workflow_handle(workflow_id(value.session_id))
        telling = asyncio.create_task(RoomReports(workflow, value.generation, process, value.settle).run())
        try:
            with translated():
                ended = await self._ended(process)
        except asyncio.CancelledError:
            details = activity.cancellation_details()
            if details is None or not details.cancel_requested or await self._goes_on(value):
                raise
            why = await self._leases.farewell(value.session_id, value.generation)
            served_ms = await self._seats.dismiss(value.session_id, value.generation, why)
            return steps.StayInRoomResult(reason="left", served_ms=served_ms)
        finally:
            beating.cancel()
            telling.cancel()
        return steps.StayInRoomResult(reason=_end_reason(ended.reason), served_ms=ended.served_ms)

    @steps.await_quiet.implementation
    async def await_quiet(self, value: steps.AwaitQuietInput) -> steps.AwaitQuietResult:
        """Wait until the avatar has nothing to say, as long as is given. One that is gone says nothing."""
        process = self._seats.get(value.session_id, value.generation)
        until = time.monotonic() + value.within.total_seconds()
        while process is not None and process.alive and process.speaking:
            if time.monotonic() > until:
                return steps.AwaitQuietResult(quiet=False)
            activity.heartbeat()
            await asyncio.sleep(QUIET_LOOK_S)
        return steps.AwaitQuietResult(quiet=True)

    async def _ended(self, process: MediaProcess) -> Ended:
        """How the process ended. Refused at once when this worker stops, since its avatars go with it.

        Refused too when this server cannot renew: the workflow looks at the lease, and attaches again if it holds.
        """
        ended = asyncio.ensure_future(process.wait_ended())
        stopping = asyncio.ensure_future(activity.wait_for_worker_shutdown())
        try:
            while True:
                await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED, timeout=BEAT_S)
                if ended.done():
                    return ended.result()
                if stopping.done():
                    raise Refused(FailureCode.SERVER_LOST, "the avatar server is stopping")
                if self._silent_s() >= UNSURE_AFTER_S:
                    raise Unavailable("this avatar server cannot renew its leases")
        finally:
            ended.cancel()
            stopping.cancel()

    async def _goes_on(self, value: steps.StayInRoomInput) -> bool:
        """Is the lease still held? An operator's reset ends the older run, and cancels its steps like a leave.

        The new run attaches again. Whoever wants the avatar to leave has revoked its lease before.
        """
        try:
            async with asyncio.timeout(GOES_ON_WITHIN_S):
                return (await self._leases.look(value.session_id, value.generation)).held
        except (Refused, TimeoutError):
            return False

    async def _check_lease(self, session_id: str, generation: int) -> None:
        sight = await self._leases.look(session_id, generation)
        if not sight.held:
            raise Refused(FailureCode.LEASE_REVOKED, "the session's lease is no longer held")

    async def _order(self, value: steps.JoinRoomInput) -> Join:
        """The order for a media process: the only place where the room's token is open."""
        portrait, video = value.portrait, self._video
        try:
            token = self._sealer.open(value.room.sealed_token, session_id=value.session_id, field=ROOM_TOKEN_FIELD)
        except CannotOpen as error:
            log.error("the room token of %s cannot be opened: %s", value.session_id, error)  # noqa: TRY400
            raise Refused(FailureCode.INTERNAL_ERROR, "the room token cannot be opened here") from None
        width, height = shown_size(portrait.width, portrait.height, video.size)
        path, bank = await self._files(portrait, width, height)
        return Join(
            session_id=value.session_id,
            generation=value.generation,
            platform=value.room.platform,
            url=value.room.url,
            token=token,
            portrait_path=str(path),
            portrait_sha256=portrait.object.sha256,
            keypoints=portrait.keypoints,
            bank_path=str(bank or ""),
            width=width,
            height=height,
            fps=video.fps,
            idle_fps=video.idle_fps,
            simulcast=video.simulcast,
            codec=video.codec,
            bitrate=video.bitrate,
            renderer=video.renderer,
            av_offset_ms=video.av_offset_ms,
            frame_marker=video.frame_marker,
            display_name=value.room.display_name or "",
        )

    async def _files(self, portrait: StoredPortrait, width: int, height: int) -> tuple[Path, Path | None]:
        """The portrait, and what the renderer has prepared of it. Without a bank the media process makes its own."""
        wanted = (self._video.renderer, width, height)
        fits = [bank.object for bank in portrait.banks if (bank.renderer, bank.width, bank.height) == wanted]
        fetching = asyncio.ensure_future(self._bank(fits[-1])) if fits else None
        path = await self._pictures.path(portrait.object.key, portrait.object.sha256)
        if fetching is None:
            return path, None
        # It goes on beyond that, so that the next join finds it.
        done, _ = await asyncio.wait({fetching}, timeout=BANK_WITHIN_S)
        return path, fetching.result() if done else None

    async def _bank(self, bank: StoredObject) -> Path | None:
        try:
            return await self._pictures.path(bank.key, bank.sha256)
        except Unavailable as error:
            log.warning("the bank %s cannot be had: %s", bank.key, error)
            return None


async def _beat(process: MediaProcess) -> None:
    """Heartbeat with the milliseconds served: for operators, and for cancellations to come back with."""
    within = activity.info().heartbeat_timeout
    pause_s = within.total_seconds() / BEATS if within else BEAT_S
    while True:
        activity.heartbeat(process.served_ms)
        await asyncio.sleep(pause_s)


def _end_reason(reason: str) -> EndReason:
    """What the session ends as. A process that went without the room's doing is a lost server to the session."""
    with suppress(ValueError):
        known = EndReason(reason)
        if known is not EndReason.TERMINATED:
            return known
    return EndReason.SERVER_LOST
