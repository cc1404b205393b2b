"""A process of its own for the native library of Daily, cut off from every network; prints what it saw as JSON.

`python -m support.daily_child TRIAL`. The library is initialised once a process, and a join that reaches nobody keeps
its threads busy for 19 s: the process ends without waiting for them.
"""

import asyncio
import ctypes
import json
import os
import sys
import time
from typing import Any

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000


def cut_off() -> bool:
    """Leave every network behind, which Linux lets a process do that has one thread."""
    return bool(sys.platform == "linux" and ctypes.CDLL(None).unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0)


async def room() -> dict[str, Any]:
    """An avatar's room from its making to a join that reaches nobody, and away."""
    import numpy as np  # noqa: PLC0415 - starts threads, after which nobody can be cut off

    from domain.failures import Refused  # noqa: PLC0415
    from presence.pictures import Picture  # noqa: PLC0415
    from presence.rooms.base import Occupancy, VideoFormat  # noqa: PLC0415
    from presence.rooms.daily import DailyRoom  # noqa: PLC0415
    from presence.rooms.daily_calls import completed  # noqa: PLC0415

    seen: list[Occupancy] = []
    video = VideoFormat(width=640, height=480, fps=25, codec="VP8", bitrate=1_500_000)
    DailyRoom(video, seen.append, lambda _: None)  # a second room in a process does not initialise again
    room = DailyRoom(video, seen.append, lambda _: None, "Sara")
    client: Any = room._client
    found: dict[str, Any] = {"name": client.participants()["local"]["info"]["userName"]}
    (found["publishing_error"],) = await completed(client.update_publishing, room._publishing(on=True))
    found["publishing"] = client.publishing()["camera"]
    for _ in range(5):
        room.push_video(Picture(640, 480))
        await room.push_audio(np.zeros(1920, np.int16))
    async with asyncio.timeout(5):
        while room._voice._waiting or room._voice._under_way:  # noqa: ASYNC110 - nobody else waits for that
            await asyncio.sleep(0.01)
    began = time.monotonic()
    try:
        await room.connect("https://greenroom.daily.co/stage", "to.ken.x", within_s=1.0)
    except Refused as refused:
        found["code"] = refused.code
    found["connect_s"] = time.monotonic() - began
    began = time.monotonic()
    await room.disconnect()
    return found | {"disconnect_s": time.monotonic() - began, "seen": len(seen)}


async def init_twice() -> dict[str, Any]:
    """Never returns."""
    import daily  # noqa: PLC0415

    daily.Daily.init()
    daily.Daily.init()
    return {}


def main() -> None:
    """Run the trial that is asked for."""
    if not cut_off():
        sys.stdout.write("null\n")
        return
    found = asyncio.run({"room": room, "init_twice": init_twice}[sys.argv[1]]())
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
