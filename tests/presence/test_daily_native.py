"""The real library of Daily as far as it goes without a network; a live room only where one is given.

`DAILY_ROOM_URL` and `DAILY_TOKEN` name such a room. Nobody has run that test yet.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from presence.processes.pool import MediaPool
from presence.processes.protocol import Join
from support.portrait_pictures import save_portrait

TESTS = Path(__file__).parent.parent
URL, TOKEN = (os.environ.get(name, "") for name in ("DAILY_ROOM_URL", "DAILY_TOKEN"))


async def trial(name: str) -> tuple[int, Any]:
    """The exit code of a trial in a process without a network, and what it printed."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join((str(TESTS), str(TESTS.parent)))}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "support.daily_child",
        name,
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    assert process.returncode is not None
    found = json.loads(out.splitlines()[-1]) if out else {}
    if found is None:
        pytest.skip("this machine lets no process leave its network, and nothing here may reach out")
    return process.returncode, found


async def test_the_real_library_takes_what_an_avatar_gives_it() -> None:
    """Two rooms in a process, devices, name, settings, frames and sound; a join that reaches nobody is bounded."""
    code, found = await trial("room")
    assert code == 0
    assert found["name"] == "Sara"
    assert found["publishing_error"] is None
    layers = {"low": {"maxBitrate": 1_500_000, "maxFramerate": 25.0, "scaleResolutionDownBy": 1.0}}
    sent = found["publishing"]["sendSettings"]
    assert (found["publishing"]["isPublishing"], sent["encodings"], sent["preferredCodec"]) == (True, layers, "VP8")
    assert found["code"] == "ROOM_UNREACHABLE"
    assert 0.9 < found["connect_s"] < 10  # by itself the library would take 19 s
    assert found["disconnect_s"] < 5
    assert found["seen"] == 0


async def test_a_second_init_ends_the_process() -> None:
    """Which is why it is called in one place, once."""
    code, _ = await trial("init_twice")
    assert code < 0


def test_the_runtime_does_not_need_the_library() -> None:
    """It is an extra of avatar servers: the lock files that images are made of do not have it, the tests' has."""
    names = ("requirements.lock", "requirements-gpu.lock", "requirements-dev.lock")
    locks = [(TESTS.parent / name).read_text() for name in names]
    assert ["daily-python==" in lock for lock in locks] == [False, False, True]


@pytest.mark.skipif(not (URL and TOKEN), reason="DAILY_ROOM_URL and DAILY_TOKEN name no room of Daily")
async def test_a_live_room_shows_the_avatar(media_pool: MediaPool, tmp_path: Path) -> None:
    """It joins, publishes, is there for a while, and leaves when it is told to."""
    portrait = save_portrait(tmp_path, 640, 480)
    process = await media_pool.take()
    published = await process.join(
        Join(
            session_id="live",
            generation=1,
            platform="daily",
            url=URL,
            token=TOKEN,
            portrait_path=str(portrait.path),
            width=640,
            height=480,
            display_name="Greenroom",
        )
    )
    assert published.participant_sid
    await asyncio.sleep(5)
    assert process.alive
    ended = await process.leave("ended_by_request")
    assert (ended.reason, ended.exit_code) == ("left", 0)
