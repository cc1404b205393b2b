"""What an avatar server sees to before it serves: its renderer, the renderer's model, and the model's host."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from presence.processes.pool import MediaPool
from presence.processes.protocol import Join
from presence.renderers.lipsync.address import address_of
from presence.renderers.lipsync.locking import alone
from runtime.settings import Settings, SettingsError
from support.agent_peer import AgentPeer, agent_token
from support.eventually import eventually
from support.lipsync_models import save_lipsync_model
from support.livekit_server import LiveKitServer, livekit_server
from support.portrait_pictures import save_portrait
from support.processes import left_after
from support.room_viewer import RoomViewer
from support.tokens import avatar_token, person_token
from worker.renderer_host import renderer_ready

__all__ = ["livekit_server"]

SIZE = (320, 240)
KEYPOINTS = tuple((x / 4, y / 4) for x, y in ((510, 251), (618, 257), (558, 322), (503, 348), (614, 354)))
SERVER = """
import asyncio, os, sys
from runtime.settings import Settings
from worker.renderer_host import renderer_ready

async def main():
    async with renderer_ready(Settings(renderer="lipsync", lipsync_model=sys.argv[1]), os.environ):
        print("kept", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
def model() -> Iterator[Path]:
    """A tiny model of the right shapes."""
    with tempfile.TemporaryDirectory(prefix="lips-", dir="/tmp") as folder:
        yield save_lipsync_model(Path(folder) / "darker.onnx")


def settings_of(model: Path, **changes: object) -> Settings:
    """Settings that choose it."""
    return Settings(**{"renderer": "lipsync", "lipsync_model": str(model), "lipsync_device": "cpu", **changes})  # type: ignore[arg-type]


def is_hosted(model: Path) -> bool:
    """Does a host listen for it?"""
    return address_of(model, "cpu").socket.exists()


async def refused(settings: Settings) -> str:
    """How settings are refused."""
    with pytest.raises(SettingsError) as caught:
        async with renderer_ready(settings, os.environ):
            raise AssertionError
    return str(caught.value)


async def test_a_renderer_that_is_not_installed_is_refused() -> None:
    """The sentence names what is there; the built-in one needs nothing."""
    said = await refused(Settings(renderer="wrap"))
    assert said == "GREENROOM_RENDERER: there is no renderer 'wrap'; installed are: lipsync, still, warp"
    async with renderer_ready(Settings(), os.environ) as told:
        assert told == {}


@pytest.mark.parametrize("wrong", ["none named", "missing", "no ONNX", "sound", "picture", "no CUDA"])
async def test_a_model_that_does_not_fit_is_refused_with_a_sentence(model: Path, wrong: str) -> None:
    """Before the server is on any list; no host stays behind."""
    changes: dict[str, object] = {}
    if wrong == "none named":
        changes, sentence = {"lipsync_model": ""}, "GREENROOM_RENDERER is lipsync, which needs a model"
    elif wrong == "missing":
        changes, sentence = {"lipsync_model": f"{model}.not"}, "is not a file"
    elif wrong == "no ONNX":
        model.write_bytes(b"no model")  # noqa: ASYNC240
        sentence = "cannot be read as ONNX"
    elif wrong == "sound":
        save_lipsync_model(model, mel=("batch", 1, 40, 16))
        sentence = "does not take float32 mel (batch, 1, 80, 16)"
    elif wrong == "picture":
        save_lipsync_model(model, face=("batch", 6, 128, 128))
        sentence = "and face (batch, 6, 96, 96)"
    else:
        changes, sentence = {"lipsync_device": "cuda"}, "told to run on CUDA"
    assert sentence in await refused(settings_of(model, **changes))
    assert not is_hosted(model)


async def test_a_killed_host_is_started_again_and_ends_with_the_server(model: Path) -> None:
    """By itself, soon; another server of the machine shares it, and takes over when the first is gone."""
    address = address_of(model, "cpu")
    async with renderer_ready(settings_of(model), os.environ):
        async with renderer_ready(settings_of(model), os.environ):
            # Here as below both servers start one, and the slower one ends by itself.
            await eventually(lambda: len(host_pids(model)) == 1 and is_hosted(model), within_s=60)
            first = host_pids(model)
            os.kill(first[0], signal.SIGKILL)
            await eventually(lambda: host_pids(model) not in (first, []) and is_hosted(model), within_s=60)
            await eventually(lambda: len(host_pids(model)) == 1, within_s=30)
        await eventually(lambda: len(host_pids(model)) == 1 and is_hosted(model), within_s=60)
    assert host_pids(model) == []
    with alone(address) as free:
        assert free


def host_pids(model: Path) -> list[int]:
    """The hosts of a model that run."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if str(model).encode() in words and b"--idle" in words:
                found.append(int(folder.name))
    return found


def test_the_host_dies_with_a_killed_server(model: Path) -> None:
    """However the server ends: nothing of it stays on the machine."""
    run = uuid4().hex
    environ = {**os.environ, "GREENROOM_RUN": run}
    command = [sys.executable, "-c", SERVER, str(model)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"kept\n"
        asyncio.run(eventually(lambda: len(host_pids(model)) == 1, within_s=30))
        server.kill()
        server.wait()
        assert left_after(run, 5) == []


@asynccontextmanager
async def talking_pool(model: Path) -> AsyncIterator[MediaPool]:
    """Media processes of a server whose settings choose the model."""
    async with renderer_ready(settings_of(model), os.environ) as told:
        pool = MediaPool(environ={**os.environ, "GREENROOM_RUN": uuid4().hex}, spares=1, settings=told)
        await pool.start()
        try:
            await eventually(lambda: is_hosted(model), within_s=30)
            await eventually(lambda: any(process.ready for process in pool.processes), within_s=30)
            yield pool
        finally:
            await pool.aclose()


async def test_a_session_talks_by_the_model_and_outlives_its_host(
    livekit_server: LiveKitServer, model: Path, tmp_path: Path, measured: Callable[[str], None]
) -> None:
    """In a real room the mouth darkens with the agent's voice; while the host is dead the picture stays; then again."""
    portrait, room = save_portrait(tmp_path, *SIZE), f"room-{uuid4().hex[:12]}"
    join = Join(
        session_id="s",
        generation=1,
        platform="livekit",
        url=livekit_server.url,
        token=avatar_token(livekit_server, room),
        renderer="lipsync",
        keypoints=KEYPOINTS,
        portrait_path=str(portrait.path),
        portrait_sha256=portrait.sha256,
        width=SIZE[0],
        height=SIZE[1],
    )
    async with (
        talking_pool(model) as pool,
        RoomViewer(livekit_server.url, person_token(livekit_server, room)) as viewer,
        AgentPeer(livekit_server.url, agent_token(livekit_server, room)) as agent,
    ):
        process = await pool.take()
        await process.join(join)
        await viewer.wait_frames(10)
        quiet = mouth_of(viewer)

        async def speaks() -> bool:
            """Does the mouth move while the agent speaks?"""
            speaking = asyncio.create_task(speak(agent, seconds=4.0))
            try:
                await eventually(lambda: mouth_of(viewer) < 0.85 * quiet, within_s=8)
            except TimeoutError:
                return False
            finally:
                await speaking
            return True

        assert await speaks()
        (host,) = host_pids(model)
        os.kill(host, signal.SIGKILL)
        frames = len(viewer.frames)
        await viewer.wait_frames(frames + 25, within_s=15)
        assert process.alive
        assert mouth_of(viewer) == pytest.approx(quiet, rel=0.1)
        await eventually(lambda: host_pids(model) not in ([host], []) and is_hosted(model), within_s=60)
        assert await speaks()
        measured(f"longest gap between frames {viewer.longest_gap():.2f} s, with the host killed in between")
        await process.leave()


def mouth_of(viewer: RoomViewer) -> float:
    """How bright the lower half of the face is."""
    return float(np.mean(viewer.picture[72:100, 122:160]))


async def speak(agent: AgentPeer, *, seconds: float) -> None:
    """Loud noise, in pieces as they would come from a voice."""
    noise = np.random.default_rng(1).normal(0, 8000, int(16_000 * seconds)).clip(-32000, 32000).astype(np.int16)
    await agent.say(noise)
