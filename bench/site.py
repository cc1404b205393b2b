"""The system that is measured, as it ships, and the ways into it that a customer, a viewer and an operator have."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from temporalio.client import Client
from ulid import ULID

from cli.demo import make_room
from cli.dev import system_options
from cli.library.builtin import astronaut
from cli.viewer import Viewer, room_token
from contracts.upload_workflow import upload_workflow_id
from domain.rooms import AVATAR_IDENTITY
from presence.pictures import i420_from_rgb, load_portrait
from runtime.settings import PREFIX, Settings
from runtime.system.running import RunningSystem, running_system
from runtime.temporal_client import connect

FULL_SIZE = (1280, 960)
PATIENCE_S = 300.0
"""A create's time: measured is how soon hundreds at once are answered, not how many of them a limit cuts off."""
START_PATIENCE_S = 30.0
"""And the time in which Temporal must take one: the first that takes longer refuses all that wait behind it."""
MEDIA_MODULE = b"worker.avatar_process"
QUIET_CPU_S = 0.02
"""CPU time in half a second below which a waiting process counts as ready-made."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """A running system."""

    running: RunningSystem
    http: httpx.AsyncClient
    temporal: Client
    avatar_id: str
    still: Path
    """The avatar's portrait as I420, for the floors."""
    database: str
    """The database's address."""

    @property
    def media(self) -> dict[str, Any]:
        """How avatars are encoded: a floor must do the same."""
        settings = Settings()
        return {"codec": settings.video_codec, "fps": settings.video_fps, "bitrate": settings.video_bitrate}

    def publisher(self, room: str, *, sound: bool = False) -> dict[str, Any]:
        """What the bare publisher is told."""
        token = self.token(room, "still", avatar=True)
        return {"url": self.running.livekit_url, "token": token, "still": str(self.still), "sound": sound, **self.media}

    def token(self, room: str, identity: str, *, avatar: bool = False) -> str:
        """A token for a room."""
        return room_token(self.running.livekit_api_key, self.running.livekit_api_secret, room, identity, avatar=avatar)

    async def new_room(self) -> str:
        """A new room's name; the room stays while nobody is in it."""
        room = f"bench-{ULID()}"
        await make_room(self.running, room)
        return room

    @asynccontextmanager
    async def watched_room(self) -> AsyncIterator[tuple[str, Viewer]]:
        """A new room with a subscriber who waits in it."""
        room = await self.new_room()
        async with Viewer(self.running.livekit_url, self.token(room, "viewer"), full_size=FULL_SIZE) as viewer:
            yield room, viewer

    async def create(self, room: str) -> str:
        """POST /v1/sessions; the session's id."""
        address = {
            "platform": "livekit",
            "url": self.running.livekit_url,
            "token": self.token(room, AVATAR_IDENTITY, avatar=True),
        }
        answer = await self.http.post("/v1/sessions", json={"avatar": self.avatar_id, "room": address})
        answer.raise_for_status()
        return str(answer.json()["session"]["session_id"])

    async def create_managed(self) -> str:
        """POST /v1/sessions without a room, which is then made; the session's id."""
        answer = await self.http.post("/v1/sessions", json={"avatar": self.avatar_id, "room": {"platform": "proxy"}})
        answer.raise_for_status()
        return str(answer.json()["session"]["session_id"])

    async def end(self, session_id: str) -> None:
        """End a session and wait until its workflow is closed."""
        (await self.http.post(f"/v1/sessions/{session_id}/end")).raise_for_status()
        async with asyncio.timeout(15):
            await self.temporal.get_workflow_handle(session_id).result()

    async def quiet(self) -> None:
        """Wait until exactly the spare media process is left, and has nothing to do any more."""
        async with asyncio.timeout(60):
            while True:
                before = media_cpu(self.running.run)
                await asyncio.sleep(0.5)
                after = media_cpu(self.running.run)
                if len(after) == 1 and before.keys() == after.keys():
                    ((pid, spent),) = after.items()
                    if spent - before[pid] < QUIET_CPU_S and spent > QUIET_CPU_S:
                        return


def media_cpu(run: str) -> dict[int, float]:
    """CPU seconds of every media process of a run, by number."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if MEDIA_MODULE in (folder / "cmdline").read_bytes() and run.encode() in (folder / "environ").read_bytes():
                found[int(folder.name)] = cpu_of(int(folder.name))
    return found


def cpu_of(pid: int) -> float:
    """CPU seconds that a process has spent, all threads, to the microsecond; OSError when it is gone.

    Linux makes the clock's id of the number, as glibc's clock_getcpuclockid(3) does.
    """
    return time.clock_gettime((~pid << 3) | 2)


def memory_mb(pid: int) -> float:
    """Resident memory in megabytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@asynccontextmanager
async def running_site(
    folder: Path, environ: Mapping[str, str] = os.environ, database: str = "", **settings: str
) -> AsyncIterator[Site]:
    """Start everything on free ports in a folder of its own; upload one portrait.

    `database` is the address of an empty one; without it, SQLite in the folder. `settings` differ from the usual ones.
    """
    mine = {name: value for name, value in environ.items() if not name.startswith("GREENROOM_")}
    patience = {"create_within_s": f"{PATIENCE_S:.0f}", "temporal_wait_s": f"{START_PATIENCE_S:.0f}"}
    wanted = {**patience, "database_url": database, **settings}
    mine |= {f"{PREFIX}{name.upper()}": value for name, value in wanted.items()}
    options = system_options(mine, data_dir=folder, free_ports=True, asked={})
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(running_system(options))
        headers = {"x-api-key": running.api_key}
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=running.api_url, headers=headers, timeout=70))
        avatar = (await http.post("/v1/avatars/upload-face", files={"file": astronaut().read_bytes()})).json()
        where = {"TEMPORAL_ADDRESS": running.temporal_address, "TEMPORAL_NAMESPACE": "default"}
        site = Site(
            running=running,
            http=http,
            temporal=await connect(where),
            avatar_id=avatar["avatar_id"],
            still=folder / "still.npy",
            database=database or Settings(data_dir=str(folder)).database_address,
        )
        # The portrait that is shown follows after the answer.
        await site.temporal.get_workflow_handle(upload_workflow_id(site.avatar_id)).result()
        await asyncio.to_thread(_save_still, folder, site.avatar_id)
        yield site


def _save_still(folder: Path, avatar_id: str) -> None:
    portrait = folder / "objects" / "avatars" / avatar_id / "4x3.jpg"
    np.save(folder / "still.npy", i420_from_rgb(load_portrait(portrait)))
