"""An avatar in a real room, as a subscriber sees it."""

import asyncio
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from livekit import api
from numpy.typing import NDArray
from PIL import Image

from domain.leases import Stop
from presence.processes.media_process import MediaProcess
from presence.processes.pool import MediaPool
from presence.processes.protocol import Join
from support.eventually import eventually
from support.livekit_server import LiveKitServer, make_server
from support.portrait_pictures import SAME_WITHIN, PortraitFile, picture_distance, save_portrait
from support.room_viewer import RoomViewer
from support.tokens import AVATAR_IDENTITY, avatar_token, person_token


def other_portraits() -> dict[str, NDArray[np.uint8]]:
    """Two other persons at the same size, from the pictures that insightface brings along."""
    spec = importlib.util.find_spec("insightface")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "data" / "images"
    several = Image.open(folder / "t1.jpg").convert("RGB")
    one = Image.open(folder / "Tom_Hanks_54745.png").convert("RGB")
    crop = several.crop((0, 0, several.height * 4 // 3, several.height))
    return {name: np.asarray(picture.resize((1280, 960))) for name, picture in (("several", crop), ("one", one))}


async def test_a_viewer_sees_the_portrait(
    livekit_server: LiveKitServer,
    media_pool: MediaPool,
    make_join: Callable[..., Join],
    room_name: str,
    portrait: PortraitFile,
) -> None:
    """A waiting viewer gets the portrait at full size from the first frame, fresh frames at 25 a second, and sound."""
    async with RoomViewer(livekit_server.url, person_token(livekit_server, room_name)) as viewer:
        process = await media_pool.take()
        published = await process.join(make_join(livekit_server))
        frames = list(await viewer.wait_frames(50))  # those that come while it leaves do not count
        picture = viewer.picture
        await process.leave("ended_by_request")
    assert (published.participant_identity, published.room_name) == (AVATAR_IDENTITY, room_name)
    assert (published.width, published.height) == (1280, 960)
    assert published.publish_ms < 3000
    assert {(frame.width, frame.height) for frame in frames} == {(1280, 960)}
    assert {frame.participant_sid for frame in frames} == {published.participant_sid}
    markers = [frame.marker for frame in frames if frame.marker is not None]
    assert len(markers) >= len(frames) - 1  # one may be blurred beyond reading while the encoder finds its bitrate
    assert markers == sorted(set(markers))  # type: ignore[type-var]
    assert 25 - 5 <= 49 / (frames[-1].at - frames[0].at) <= 25 + 5
    assert viewer.audio_tracks == ["avatar_audio"]
    assert viewer.states == [{"state": "connected"}, {"state": "disconnected", "reason": "ended_by_request"}]
    assert picture_distance(picture, portrait.pixels) < SAME_WITHIN
    impostors = other_portraits() | {
        "mirrored": portrait.pixels[:, ::-1],
        "swapped channels": portrait.pixels[:, :, ::-1],
    }
    for name, impostor in impostors.items():
        assert picture_distance(picture, impostor) > 1.5 * SAME_WITHIN, name


@pytest.mark.parametrize("size", [(960, 1280), (960, 960)])
async def test_other_ratios_are_sent_as_they_are(
    livekit_server: LiveKitServer,
    media_pool: MediaPool,
    make_join: Callable[..., Join],
    room_name: str,
    tmp_path: Path,
    size: tuple[int, int],
) -> None:
    """An upright and a square portrait keep their size and their picture."""
    portrait = save_portrait(tmp_path, *size)
    async with RoomViewer(livekit_server.url, person_token(livekit_server, room_name)) as viewer:
        process = await media_pool.take()
        changes = {"portrait_path": str(portrait.path), "portrait_sha256": portrait.sha256, "frame_marker": False}
        await process.join(make_join(livekit_server, width=size[0], height=size[1], **changes))
        frames = await viewer.wait_frames(10)
        picture = viewer.picture
        await process.leave()
    assert {(frame.width, frame.height) for frame in frames} == {size}
    assert {frame.marker for frame in frames} == {None}
    assert picture_distance(picture, portrait.pixels) < SAME_WITHIN


async def joined(media_pool: MediaPool, join: Join) -> MediaProcess:
    """A process that has joined."""
    process = await media_pool.take()
    await process.join(join)
    return process


async def test_removal_deletion_and_a_twin_end_the_session(
    livekit_server: LiveKitServer, media_pool: MediaPool, make_join: Callable[..., Join], room_name: str
) -> None:
    """Each way to lose a room has its own reason, is noticed at once, and tells how long the avatar was visible."""
    rooms = {reason: f"{room_name}-{reason}" for reason in ("removed", "room_deleted", "identity_taken")}
    processes = {
        reason: await joined(media_pool, make_join(livekit_server, token=avatar_token(livekit_server, room)))
        for reason, room in rooms.items()
    }
    async with livekit_server.admin() as admin:
        who = api.RoomParticipantIdentity(room=rooms["removed"], identity=AVATAR_IDENTITY)
        await admin.room.remove_participant(who)
        await admin.room.delete_room(api.DeleteRoomRequest(room=rooms["room_deleted"]))
    twin = RoomViewer(livekit_server.url, avatar_token(livekit_server, rooms["identity_taken"]))
    async with twin, asyncio.timeout(3):
        ended = {reason: await process.wait_ended() for reason, process in processes.items()}
    assert {reason: end.reason for reason, end in ended.items()} == {reason: reason for reason in rooms}
    assert {end.exit_code for end in ended.values()} == {0}
    assert all(end.served_ms > 0 for end in ended.values())


async def test_people_and_agents_are_counted_apart(
    livekit_server: LiveKitServer, media_pool: MediaPool, make_join: Callable[..., Join], room_name: str
) -> None:
    """Persons and callers count, agents count apart, the avatar not at all; who attaches sees the present state."""

    def token(identity: str, kind: Literal["standard", "agent", "sip"]) -> str:
        return person_token(livekit_server, room_name, identity=identity, kind=kind)

    async with RoomViewer(livekit_server.url, token("agent", "agent")):
        process = await joined(media_pool, make_join(livekit_server))
        assert await counts_become(process, 0, 1)
        async with (
            RoomViewer(livekit_server.url, token("person", "standard")),
            RoomViewer(livekit_server.url, token("caller", "sip")),
        ):
            assert await counts_become(process, 2, 1)
        assert await counts_become(process, 0, 1)
        await process.leave()
    assert process.state.room is not None
    assert process.state.ended is not None


async def counts_become(process: MediaProcess, people: int, agents: int) -> bool:
    """Attach as an activity does, and watch. LiveKit tells of those who publish nothing with up to 3 s delay."""
    state = process.state
    async with asyncio.timeout(6):
        while state.room is None or (state.room.people, state.room.agents) != (people, agents):
            state = await process.next_state(state.version)
    return True


async def test_a_restarted_server_gets_the_picture_back(
    media_pool: MediaPool, make_join: Callable[..., Join], room_name: str
) -> None:
    """The SDK reconnects: the process stays, nobody is reported as gone meanwhile, and fresh frames come."""
    server = make_server()
    try:
        async with RoomViewer(server.url, person_token(server, room_name)) as viewer:
            process = await joined(media_pool, make_join(server))
            await viewer.wait_frames(5)
            before = process.state
            served_before = process.served_ms
            server.kill()
            await asyncio.sleep(0.3)
            server.start()
            count = len(viewer.frames)
            frames = await viewer.wait_frames(count + 30, within_s=20)
            assert process.alive
            assert process.state.room == before.room
            assert process.served_ms > served_before
            markers = [frame.marker for frame in frames[-10:] if frame.marker is not None]
            assert markers == sorted(set(markers))
            ended = await process.leave()
            assert ended.reason == "left"
    finally:
        server.kill()


async def test_the_room_is_warned_and_the_session_ends_by_itself(
    livekit_server: LiveKitServer, media_pool: MediaPool, make_join: Callable[..., Join], room_name: str
) -> None:
    """The server tells when the session ends: the room hears of it, and is left if nobody ends the session."""
    async with RoomViewer(livekit_server.url, person_token(livekit_server, room_name)) as viewer:
        process = await joined(media_pool, make_join(livekit_server))
        await viewer.wait_frames(5)
        process.hold(Stop(in_s=9, reason="minutes_exhausted"))
        await eventually(lambda: bool(viewer.warnings))
        process.hold(Stop(in_s=-60, reason="minutes_exhausted"))
        ended = await asyncio.wait_for(process.wait_ended(), 10)
    assert ended.reason == "minutes_exhausted"
    (warning,) = viewer.warnings
    assert (warning["type"], warning["reason"]) == ("session.warning", "minutes_exhausted")
    assert warning["seconds_left"] in range(5, 10)
    assert viewer.states[-1] == {"state": "disconnected", "reason": "minutes_exhausted"}


async def test_it_is_known_when_the_avatar_speaks_and_an_agent_is_there(
    livekit_server: LiveKitServer, media_pool: MediaPool, make_join: Callable[..., Join], room_name: str
) -> None:
    """The agent that the token names is told of apart from other agents."""
    process = await joined(media_pool, make_join(livekit_server))
    assert not process.speaking
    async with RoomViewer(livekit_server.url, person_token(livekit_server, room_name, identity="agent", kind="agent")):
        await eventually(lambda: process.state.room is not None and process.state.room.agent_there is True)
    await eventually(lambda: process.state.room is not None and process.state.room.agent_there is False)
    await process.leave()
