"""Fixtures of the presence tests: a real LiveKit server, a portrait and a pool of real media processes."""

import os
from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import numpy as np
import pytest
from numpy.typing import NDArray

from presence.processes.pool import MediaPool
from presence.processes.protocol import Join
from support.livekit_server import LiveKitServer, livekit_server
from support.portrait_pictures import PortraitFile, astronaut, save_portrait
from support.tokens import avatar_token

__all__ = ["livekit_server"]

JoinMaker = Callable[..., Join]


@pytest.fixture(scope="session")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> PortraitFile:
    """A portrait of 1280x960 as a JPEG."""
    return save_portrait(tmp_path_factory.mktemp("portraits"))


@pytest.fixture(scope="session")
def portrait_rgb() -> NDArray[np.uint8]:
    """The pixels of a smaller portrait, 640x480."""
    return astronaut(640, 480)


@pytest.fixture(scope="session")
async def media_pool() -> AsyncIterator[MediaPool]:
    """Real media processes, two of them warm."""
    pool = MediaPool(environ=os.environ, spares=2)
    await pool.start()
    yield pool
    await pool.aclose()


@pytest.fixture
def room_name() -> str:
    """A room that no other test uses."""
    return f"room-{uuid4().hex[:12]}"


@pytest.fixture
def make_join(portrait: PortraitFile, room_name: str) -> JoinMaker:
    """Makes joins for a server: `make_join(server, token=..., url=...)`."""

    def make(server: LiveKitServer, **changes: object) -> Join:
        values: dict[str, object] = {
            "session_id": f"session-of-{room_name}",
            "generation": 1,
            "platform": "livekit",
            "url": server.url,
            "token": avatar_token(server, room_name),
            "portrait_path": str(portrait.path),
            "portrait_sha256": portrait.sha256,
            "width": portrait.size[0],
            "height": portrait.size[1],
            "frame_marker": True,
        }
        return Join(**(values | changes))  # type: ignore[arg-type]

    return make
