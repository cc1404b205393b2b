"""Media processes and their parent: warm spares, deaths of either side, and what is left behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from domain.environments import child_environment
from domain.failures import FailureCode, Refused
from presence.processes.limits import ProcessLimits, resident_mb
from presence.processes.media_process import MediaProcess
from presence.processes.pool import MediaPool
from presence.processes.protocol import DIED, Join
from support.livekit_server import LiveKitServer
from support.plugin_renderers import install_plugin
from support.processes import left_after, marked
from support.room_viewer import RoomViewer
from support.tokens import AVATAR_IDENTITY, avatar_token, person_token

PARENT = """
import asyncio, os, sys
import msgspec
from presence.processes.pool import MediaPool
from presence.processes.protocol import Join

async def main():
    pool = MediaPool(environ=os.environ, spares=1)
    await pool.start()
    process = await pool.take()
    await process.join(msgspec.json.decode(sys.stdin.readline(), type=Join))
    spare = await pool.take()
    print(process.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def wait_ready(pool: MediaPool) -> MediaProcess:
    """A spare that is ready."""
    async with asyncio.timeout(15):
        while not (ready := [p for p in pool.processes if p.ready and p.session is None]):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return ready[0]


@asynccontextmanager
async def marked_pool(spares: int) -> AsyncIterator[tuple[MediaPool, str]]:
    """A pool of its own whose processes carry a mark."""
    run = uuid4().hex
    pool = MediaPool(environ={**os.environ, "GREENROOM_RUN": run}, spares=spares)
    await pool.start()
    try:
        yield pool, run
    finally:
        await pool.aclose()


def test_the_parent_s_side_imports_no_media_library() -> None:
    """An avatar server holds pools without livekit, numpy or pillow in its memory."""
    code = "import presence.processes.pool, sys, json; print(json.dumps(sorted(sys.modules)))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    loaded = {name.split(".")[0] for name in json.loads(output)}
    assert "presence" in loaded
    assert not loaded & {"livekit", "numpy", "PIL", "cv2", "temporalio"}


def test_a_child_inherits_no_secret() -> None:
    """Keys and passwords stay with the parent; what a process needs to run goes along."""
    environ = {
        "PATH": "/bin",
        "LC_ALL": "C",
        "GREENROOM_RUN": "r",
        "GREENROOM_SEALING_KEYS": "k:1",
        "AWS_SECRET_KEY": "x",
    }
    assert child_environment(environ) == {"PATH": "/bin", "LC_ALL": "C", "GREENROOM_RUN": "r"}


async def test_a_join_uses_the_warm_spare(
    livekit_server: LiveKitServer, make_join: Callable[..., Join], room_name: str
) -> None:
    """A session gets the spare that waited, publishes within moments, and another spare takes its place."""
    async with marked_pool(spares=1) as (pool, _):
        spare = await wait_ready(pool)
        process = await pool.take()
        assert process is spare
        started = time.monotonic()
        published = await process.join(make_join(livekit_server))
        assert published.publish_ms <= (time.monotonic() - started) * 1000
        assert time.monotonic() - started < 2
        assert process.publication == published
        assert await wait_ready(pool) is not process
        with pytest.raises(RuntimeError):
            await process.join(make_join(livekit_server))
        assert process.alive


async def test_a_cold_process_joins_too(livekit_server: LiveKitServer, make_join: Callable[..., Join]) -> None:
    """Without a spare the join waits for the imports."""
    async with marked_pool(spares=0) as (pool, _):
        process = await pool.take()
        assert not process.ready
        published = await process.join(make_join(livekit_server))
        assert published.participant_identity == AVATAR_IDENTITY


async def test_the_token_is_in_no_list_of_processes(
    livekit_server: LiveKitServer, media_pool: MediaPool, make_join: Callable[..., Join]
) -> None:
    """Neither arguments nor environment of a media process show its token."""
    process = await media_pool.take()
    join = make_join(livekit_server)
    await process.join(join)
    folder = Path("/proc") / str(process.pid)
    shown = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
    assert b"worker.avatar_process" in shown
    assert join.token.encode() not in shown
    await process.leave()


async def test_closing_a_pool_leaves_nothing_behind(
    livekit_server: LiveKitServer, make_join: Callable[..., Join], room_name: str
) -> None:
    """Avatars leave their rooms, and neither they nor spares nor half-started ones stay."""
    async with marked_pool(spares=1) as (pool, run):
        process = await pool.take()
        await process.join(make_join(livekit_server))
        await pool.take()
        assert len(marked(run)) >= 2
    assert left_after(run, 0) == []
    assert process.state.ended is not None
    assert process.state.ended.reason == "left"
    assert await livekit_server.identities(room_name) == set()
    with pytest.raises(RuntimeError):
        await pool.take()


async def test_a_killed_spare_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A spare that dies is no longer offered, and another one comes."""
    monkeypatch.setattr("presence.processes.pool.CRASH_PAUSE_S", 0.1)
    async with marked_pool(spares=1) as (pool, _):
        spare = await wait_ready(pool)
        spare.kill()
        ended = await spare.wait_ended()
        assert (ended.reason, ended.exit_code) == (DIED, -signal.SIGKILL)
        assert await wait_ready(pool) is not spare


async def test_a_killed_media_process_is_noticed_at_once(
    livekit_server: LiveKitServer, media_pool: MediaPool, make_join: Callable[..., Join]
) -> None:
    """A kill -9 wakes up every watcher within moments, with the time that was served."""
    process = await media_pool.take()
    await process.join(make_join(livekit_server))
    await asyncio.sleep(1.3)
    watchers = [asyncio.create_task(process.next_state(process.state.version)) for _ in range(2)]
    await asyncio.sleep(0)
    started = time.monotonic()
    os.kill(process.pid, signal.SIGKILL)
    for state in await asyncio.gather(*watchers):
        assert state.ended is not None
        assert state.ended.reason == DIED
        assert state.ended.served_ms >= 900
    assert time.monotonic() - started < 0.5
    assert not process.alive
    assert (await process.leave()).reason == DIED


async def test_a_process_that_takes_too_much_memory_is_ended(
    livekit_server: LiveKitServer,
    make_join: Callable[..., Join],
    room_name: str,
    tmp_path: Path,
    measured: Callable[[str], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is killed and said so; a neighbour from the same pool goes on."""
    environ = {**install_plugin(tmp_path).environ, "GREENROOM_RUN": uuid4().hex}
    pool = MediaPool(environ=environ, spares=2, limits=ProcessLimits(memory_mb=500))
    await pool.start()
    try:
        await wait_ready(pool)
        hungry, neighbour = await pool.take(), await pool.take()
        small = {"width": 320, "height": 240}
        await neighbour.join(make_join(livekit_server, session_id="neighbour", **small))
        token = avatar_token(livekit_server, f"{room_name}-hungry")
        await hungry.join(make_join(livekit_server, renderer="hungry", token=token, **small))
        async with asyncio.timeout(40):
            ended = await hungry.wait_ended()
        assert (ended.reason, ended.exit_code) == (DIED, -signal.SIGKILL)
        assert "MB of 500 and was killed" in caplog.text
        served = neighbour.served_ms
        measured(f"a neighbour takes {resident_mb(neighbour.pid):.0f} MB")
        async with asyncio.timeout(10):
            while neighbour.served_ms <= served:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert neighbour.alive
    finally:
        await pool.aclose()


async def test_a_crash_is_reported_within_a_second_and_touches_no_neighbour(
    livekit_server: LiveKitServer,
    media_pool: MediaPool,
    make_join: Callable[..., Join],
    room_name: str,
    measured: Callable[[str], None],
) -> None:
    """Of three sessions the middle one crashes in native code; the others' pictures go on without a gap."""
    rooms = [f"{room_name}-{number}" for number in range(3)]
    processes = []
    for room in rooms:
        await wait_ready(media_pool)
        processes.append(await media_pool.take())
        token = avatar_token(livekit_server, room)
        await processes[-1].join(make_join(livekit_server, token=token, width=320, height=240))
    async with RoomViewer(livekit_server.url, person_token(livekit_server, rooms[0])) as viewer:
        await viewer.wait_frames(5)
        started = time.monotonic()
        os.kill(processes[1].pid, signal.SIGSEGV)
        ended = await processes[1].wait_ended()
        took = time.monotonic() - started
        measured(f"a crash was reported after {took * 1000:.0f} ms")
        assert (ended.reason, took < 1) == (DIED, True)
        await viewer.wait_frames(len(viewer.frames) + 20)
    assert [process.alive for process in processes] == [True, False, True]
    for process in processes[::2]:
        await process.leave()


async def test_open_files_are_limited(measured: Callable[[str], None]) -> None:
    """Each media process may open as many files as its pool says, and raise that no further."""
    limits = ProcessLimits(open_files=700)
    pool = MediaPool(environ={**os.environ, "GREENROOM_RUN": uuid4().hex}, spares=1, limits=limits)
    await pool.start()
    try:
        spare = await wait_ready(pool)
        lines = Path(f"/proc/{spare.pid}/limits").read_text().splitlines()  # noqa: ASYNC240
        (line,) = [line for line in lines if line.startswith("Max open files")]
        assert line.split()[3:5] == ["700", "700"]
        measured(f"a spare has {len(os.listdir(f'/proc/{spare.pid}/fd'))} open files")  # noqa: PTH208
    finally:
        await pool.aclose()


async def test_a_process_that_dies_while_it_joins_is_a_failure(
    livekit_server: LiveKitServer, media_pool: MediaPool, make_join: Callable[..., Join]
) -> None:
    """The join fails at once, as a lost server does: the client may try again."""
    process = await media_pool.take()
    joining = asyncio.create_task(process.join(make_join(livekit_server)))
    await asyncio.sleep(0)
    process.kill()
    with pytest.raises(Refused) as caught:
        await asyncio.wait_for(joining, 3)
    assert caught.value.code == FailureCode.SERVER_LOST


async def test_a_cancelled_join_leaves_nobody_in_the_room(
    livekit_server: LiveKitServer, media_pool: MediaPool, make_join: Callable[..., Join], room_name: str
) -> None:
    """Whenever a join is called off, its process leaves, even in the midst of the connect."""
    for seconds in (0.0, 0.03, 0.1, 0.2):
        process = await media_pool.take()
        joining = asyncio.create_task(process.join(make_join(livekit_server)))
        await asyncio.sleep(seconds)
        if not joining.cancel():  # on a fast machine it has joined by now, and nothing is left to call off
            assert seconds == 0.2
            await process.leave("ended_by_request")
            continue
        with pytest.raises(asyncio.CancelledError):
            await joining
        async with asyncio.timeout(12):
            await process.wait_ended()
        assert await livekit_server.wait_gone(room_name, AVATAR_IDENTITY, within_s=1) < 1


async def test_a_frozen_process_is_ended_by_force(
    livekit_server: LiveKitServer, media_pool: MediaPool, make_join: Callable[..., Join]
) -> None:
    """A process that does not answer to leave is killed."""
    process = await media_pool.take()
    await process.join(make_join(livekit_server))
    os.kill(process.pid, signal.SIGSTOP)
    ended = await process.leave("expired", within_s=0.3)
    assert (ended.reason, ended.exit_code) == (DIED, -signal.SIGKILL)


async def test_sigterm_leaves_the_room(
    livekit_server: LiveKitServer, media_pool: MediaPool, make_join: Callable[..., Join], room_name: str
) -> None:
    """A terminated process says good-bye: nobody looks at a frozen picture."""
    async with RoomViewer(livekit_server.url, person_token(livekit_server, room_name)) as viewer:
        process = await media_pool.take()
        await process.join(make_join(livekit_server))
        await viewer.wait_frames(1)
        os.kill(process.pid, signal.SIGTERM)
        assert await livekit_server.wait_gone(room_name, AVATAR_IDENTITY, within_s=1) < 1
        ended = await process.wait_ended()
        assert ended.reason == "terminated"
        assert viewer.states[-1] == {"state": "disconnected", "reason": "terminated"}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_media_processes_die_with_their_parent(
    how: signal.Signals, livekit_server: LiveKitServer, make_join: Callable[..., Join], room_name: str
) -> None:
    """However the parent ends, its avatars leave their rooms within a second, and no process stays."""
    run = uuid4().hex
    parent = subprocess.Popen(  # noqa: ASYNC220 - a parent to be killed
        [sys.executable, "-c", PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "GREENROOM_RUN": run},
    )
    with parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        parent.stdin.write(msgspec.json.encode(make_join(livekit_server)) + b"\n")
        parent.stdin.flush()
        media_pid = int(await asyncio.to_thread(parent.stdout.readline))
        assert media_pid in {process.pid for process in marked(run)}
        assert AVATAR_IDENTITY in await livekit_server.identities(room_name)
        os.kill(parent.pid, how)
        assert await livekit_server.wait_gone(room_name, AVATAR_IDENTITY, within_s=1.5) < 1.5
        parent.wait()
        assert left_after(run, 2.5) == []
