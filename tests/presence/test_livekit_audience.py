"""Whether anybody watches is seen in a real room; a slow renderer takes over in one."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from livekit import rtc

from presence.processes.pool import MediaPool
from presence.processes.protocol import Event, Join, Published
from presence.session import AvatarSession
from support.eventually import eventually
from support.livekit_server import LiveKitServer
from support.plugin_renderers import SHADE, install_plugin
from support.portrait_pictures import save_portrait
from support.room_viewer import RoomViewer
from support.tokens import person_token

SIZE = (320, 240)


@pytest.fixture
def small_join(make_join: Callable[..., Join], tmp_path: Path) -> Callable[..., Join]:
    """Makes orders for a small portrait without a marker, which is moved by the 2D warp."""
    portrait = save_portrait(tmp_path, *SIZE)
    points = tuple((x / 4, y / 4) for x, y in ((510, 251), (618, 257), (558, 322), (503, 348), (614, 354)))
    small = {"portrait_path": str(portrait.path), "portrait_sha256": portrait.sha256, "keypoints": points}
    small |= {"width": SIZE[0], "height": SIZE[1], "renderer": "warp", "frame_marker": False}
    return lambda server, **changes: make_join(server, **{**small, **changes})


async def test_pictures_come_more_rarely_while_nobody_is_subscribed(
    livekit_server: LiveKitServer,
    small_join: Callable[..., Join],
    room_name: str,
    measured: Callable[[str], None],
) -> None:
    """Before the first subscriber, and after the last one has left; each one who comes gets the full rate at once."""
    events: list[Event] = []
    loop = asyncio.get_running_loop()
    session = AvatarSession(small_join(livekit_server), events.append)
    running = asyncio.create_task(session.run())

    async def wait_watched(watched: bool, within_s: float = 20.0) -> float:
        began = loop.time()
        await eventually(lambda: playback.watched is watched, within_s=within_s)
        return loop.time() - began

    await eventually(lambda: any(isinstance(event, Published) for event in events), within_s=15)
    playback = session.playback
    assert playback is not None
    await wait_watched(watched=False)
    rested, shown = playback.rested, playback.shown
    await asyncio.sleep(2)
    rested, shown = playback.rested - rested, playback.shown - shown
    measured(f"alone: {shown} of {shown + rested} pictures in 2 s")
    assert 0.8 <= rested / shown <= 1.4
    viewer = rtc.Room()
    await viewer.connect(livekit_server.url, person_token(livekit_server, room_name))
    measured(f"full rate {await wait_watched(watched=True):.2f} s after the first viewer's connect")
    (avatar,) = [who for who in viewer.remote_participants.values() if who.track_publications]
    video = next(p for p in avatar.track_publications.values() if p.kind == rtc.TrackKind.KIND_VIDEO)
    video.set_subscribed(False)
    measured(f"rest {await wait_watched(watched=False):.1f} s after the last one unsubscribed")
    video.set_subscribed(True)
    measured(f"full rate {await wait_watched(watched=True):.2f} s after it subscribed again")
    assert playback.clock.starved <= 2
    await viewer.disconnect()
    await session.leave("")
    running.cancel()
    await asyncio.wait({running})


@pytest.fixture
async def plugin_pool(tmp_path: Path) -> AsyncIterator[MediaPool]:
    """Media processes on a machine where another package's renderers are installed."""
    folder = tmp_path / "plugin"
    folder.mkdir()
    pool = MediaPool(environ={**install_plugin(folder).environ, "GREENROOM_RUN": uuid4().hex}, spares=1)
    await pool.start()
    await eventually(lambda: any(process.ready for process in pool.processes), within_s=30)
    yield pool
    await pool.aclose()


async def test_a_session_is_in_the_room_before_its_slow_renderer(
    livekit_server: LiveKitServer,
    small_join: Callable[..., Join],
    plugin_pool: MediaPool,
    room_name: str,
    measured: Callable[[str], None],
) -> None:
    """Its portrait moves already while the renderer takes 2 s to prepare, and then the renderer's pictures come."""
    async with RoomViewer(livekit_server.url, person_token(livekit_server, room_name)) as viewer:
        process = await plugin_pool.take()
        published = await process.join(small_join(livekit_server, renderer="slow"))
        measured(f"published after {published.publish_ms} ms")
        assert published.publish_ms < 2000
        await viewer.wait_frames(1)
        first = viewer.picture
        keep(first, "interim")
        assert first.std() > 30  # a face, and not one shade
        frames = len(viewer.frames)
        await eventually(lambda: viewer.picture.std() < 5, within_s=15)
        keep(viewer.picture, "renderer")
        assert abs(float(np.mean(viewer.picture)) - (SHADE - 16) * 255 / 219) < 8
        assert len(viewer.frames) - frames > 10
        assert process.alive
        await process.leave()


@pytest.mark.parametrize("simulcast", [True, False])
async def test_smaller_pictures_are_sent_besides_where_the_settings_say_so(
    livekit_server: LiveKitServer,
    media_pool: MediaPool,
    small_join: Callable[..., Join],
    room_name: str,
    *,
    simulcast: bool,
) -> None:
    """A viewer is told of them or not, and comes to the full size, which is scaled from the portrait."""
    async with RoomViewer(livekit_server.url, person_token(livekit_server, room_name)) as viewer:
        process = await media_pool.take()
        await process.join(small_join(livekit_server, width=960, height=720, simulcast=simulcast))
        await eventually(lambda: bool(viewer.frames) and viewer.frames[-1].width == 960, within_s=30)
        (avatar,) = viewer._room.remote_participants.values()
        (video,) = [one for one in avatar.track_publications.values() if one.kind == rtc.TrackKind.KIND_VIDEO]
        assert video.simulcasted is simulcast
        await process.leave()


def keep(picture: np.ndarray, name: str) -> None:  # type: ignore[type-arg]
    """For somebody's eyes."""
    if folder := os.environ.get("GREENROOM_TEST_KEEP"):
        from PIL import Image  # noqa: PLC0415

        Image.fromarray(picture).save(Path(folder) / f"{name}.png")
