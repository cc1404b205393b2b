"""A small avatar in a room, for tests that listen to it and do not look."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from presence.processes.media_process import MediaProcess
from presence.processes.pool import MediaPool
from presence.processes.protocol import Join
from support.livekit_server import LiveKitServer
from support.portrait_pictures import save_portrait
from support.tokens import avatar_token

SIZE = (320, 240)


@asynccontextmanager
async def small_avatar(
    pool: MediaPool, server: LiveKitServer, room: str, folder: Path, token: str = ""
) -> AsyncIterator[MediaProcess]:
    """A media process that shows it; gone from the room afterwards, if it has not gone by itself."""
    portrait = save_portrait(folder, *SIZE)
    process = await pool.take()
    await process.join(
        Join(
            session_id=f"session-of-{room}",
            generation=1,
            platform="livekit",
            url=server.url,
            token=token or avatar_token(server, room),
            portrait_path=str(portrait.path),
            width=SIZE[0],
            height=SIZE[1],
        )
    )
    yield process
    await process.leave()
