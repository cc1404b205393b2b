"""Fault 13 through the whole system: hosts and pictures that mean harm are named, in bounded time and memory."""

import asyncio
import contextlib
import io
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from PIL import Image

from support import pictures
from support.damaged_pictures import seeds
from support.fault_bench import Bench, said_by
from support.fresh_pictures import as_avatar
from support.livekit_server import free_port
from support.real_system import new_room

Begin = Callable[[str, str], Bench]
Serve = Callable[[asyncio.StreamWriter], Awaitable[None]]

MOST_BYTES = 10 * 2**20
WITHIN_S = 45.0
"""Three tries of ten seconds to fetch, with pauses of three, ten to decode, and two for the rest."""
MOST_GROWTH_MB = 400
"""Of the faces worker and its decoders together, while they refuse. A bomb would take 1200."""
DRIP_S = 0.2


def headed(length: int, body: bytes) -> bytes:
    """An answer that says it is so long."""
    return f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode() + body


def answering(data: bytes) -> Serve:
    """A host that sends these bytes."""

    async def serve(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return serve


def picture(data: bytes) -> Serve:
    """A host that sends this picture."""
    return answering(headed(len(data), data))


def bomb() -> bytes:
    """400 megapixels in a PNG of 50 kB."""
    out = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(out, "PNG")
    return out.getvalue()


async def drip(writer: asyncio.StreamWriter) -> None:
    """A byte now and then, for ever."""
    writer.write(headed(5000, b""))
    while True:
        writer.write(b"\x89")
        await writer.drain()
        await asyncio.sleep(DRIP_S)


async def pour(writer: asyncio.StreamWriter) -> None:
    """A body without end."""
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(bytes(65_536))
        await writer.drain()


def redirect() -> Serve:
    """To a port of this machine that nobody allowed."""
    return answering(f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{free_port()}/\r\n\r\n".encode())


FAULTS: dict[str, tuple[Callable[[], Serve], str]] = {
    "a redirect to a private address": (redirect, "IMAGE_URL_NOT_ALLOWED"),
    "a body longer than it says": (lambda: answering(headed(20_000, pictures.astronaut())), "IMAGE_URL_UNUSABLE"),
    "a body without end": (lambda: pour, "IMAGE_TOO_LARGE"),
    "one byte over 10 MB": (lambda: picture(bytes(MOST_BYTES + 1)), "IMAGE_TOO_LARGE"),
    "a decompression bomb": (lambda: picture(bomb()), "IMAGE_TOO_MANY_PIXELS"),
    "a slow drip": (lambda: drip, "IMAGE_URL_UNREACHABLE"),
} | {
    f"a third of a {name}": (lambda data=data: picture(data[: len(data) // 3]), "IMAGE_DAMAGED")
    for name, data in seeds().items()
}


@asynccontextmanager
async def host(serve: Serve, port: int) -> AsyncIterator[str]:
    """A web server on the port that pictures may come from; the address of a picture on it."""
    serving: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            await reader.readuntil(b"\r\n\r\n")
            await serve(writer)
        except (OSError, asyncio.CancelledError):
            pass  # the other side has hung up, or the test is over
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port)
    yield f"http://127.0.0.1:{port}/face.png"
    server.close()
    for task in serving:
        task.cancel()


def memory_mb(group: int) -> float:
    """What the processes of a group hold now: a worker and those that it started."""
    held = 0.0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            if os.getpgid(int(folder.name)) == group:
                held += int((folder / "status").read_text().partition("VmRSS:")[2].split()[0]) / 1024
    return held


async def most_memory(group: int) -> float:
    """The most that is held until this is called off; the task's result when it is cancelled."""
    most = 0.0
    try:
        while True:
            most = max(most, memory_mb(group))
            await asyncio.sleep(0.05)
    except asyncio.CancelledError:
        return most


@pytest.mark.parametrize("kind", FAULTS)
async def test_a_picture_that_means_harm_is_named(begin: Begin, kind: str) -> None:
    """Its code, in time, without much memory; no lease is taken, nothing is charged, and the next create works."""
    make, code = FAULTS[kind]
    bench = begin("a create by address", kind)
    system = bench.system
    faces = os.getpgid(system.running.pid("faces") or 0)
    await system.wait_released()
    before, held_mb = await system.traces(), memory_mb(faces)
    watching = asyncio.create_task(most_memory(faces))
    async with host(make(), system.picture_port) as url:
        bench.case.fault_now()
        answer = await bench.create(url, new_room())
        took_s = bench.case.since_fault()
    watching.cancel()
    growth_mb = await watching - held_mb
    assert answer is not None
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert took_s < WITHIN_S
    assert growth_mb < MOST_GROWTH_MB
    after = await system.traces()
    assert {name: after[name] for name in ("avatars", "leases", "held", "places", "objects")} == {
        name: before[name] for name in ("avatars", "leases", "held", "places", "objects")
    }
    await bench.whole()
    bench.case.fault_now()  # it is over; what counts from here is the next create
    await bench.create_works(as_avatar(pictures.astronaut()))
    bench.case.steady(
        f"client: {said_by(answer)} after {took_s:.1f} s; {growth_mb:.0f} MB; no lease; next create works"
    )
