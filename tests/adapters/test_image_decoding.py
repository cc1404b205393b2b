"""Decoding in processes apart: what one picture does to its decoder is nothing to the next picture."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image

from adapters.image_decoding import DecoderLimits, ImageDecoder
from adapters.image_pixels import load_rgb
from adapters.image_reading import read_picture
from domain.failures import FailureCode, Refused
from support.pictures import astronaut, encoded, no_face

PATIENCE_S = 10.0


@pytest.fixture
async def decoder() -> AsyncIterator[ImageDecoder]:
    """A decoder with one process, so that a call meets what the last one left."""
    made = ImageDecoder(DecoderLimits(processes=1))
    yield made
    await made.aclose()


def pids(decoder: ImageDecoder) -> list[int]:
    """The decoder's processes."""
    return [child._process.pid for child in decoder._children]


def is_running(pid: int) -> bool:
    """Is there such a process, zombies apart?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def environment_of(pid: int) -> bytes:
    """The variables that the process was started with."""
    return Path(f"/proc/{pid}/environ").read_bytes()


async def wait_until_gone(pid: int) -> None:
    """Wait until the process has ended; TimeoutError if it does not."""
    async with asyncio.timeout(PATIENCE_S):
        while is_running(pid):  # noqa: ASYNC110 - a process sets no event
            await asyncio.sleep(0.02)


async def refusal(decoder: ImageDecoder, data: bytes) -> Refused:
    """How the decoder refuses the data."""
    with pytest.raises(Refused) as caught:
        await decoder.decode(data)
    return caught.value


async def test_a_picture_comes_back_as_it_is_read(decoder: ImageDecoder) -> None:
    """The process apart answers what reading here would, and its JPEG loads as pixels."""
    decoded = await decoder.decode(astronaut())
    assert decoded == read_picture(astronaut())
    assert load_rgb(decoded.jpeg).shape == (512, 512, 3)


async def test_a_refusal_of_the_process_keeps_its_code_and_details(decoder: ImageDecoder) -> None:
    """Codes cross the pipe, and the process lives on."""
    refused = await refusal(decoder, astronaut()[:100_000])
    assert (refused.code, refused.details) == (FailureCode.IMAGE_DAMAGED, None)
    before = pids(decoder)
    assert (await decoder.decode(astronaut())).width == 512
    assert pids(decoder) == before


async def test_what_is_no_picture_starts_no_process(decoder: ImageDecoder) -> None:
    """The first bytes and the size are looked at before anything is sent."""
    assert (await refusal(decoder, b"<svg/>")).code is FailureCode.IMAGE_TYPE_UNSUPPORTED
    assert (await refusal(decoder, bytes(10 * 2**20 + 1))).code is FailureCode.IMAGE_TOO_LARGE
    assert pids(decoder) == []


async def test_a_picture_that_takes_too_long_is_refused_and_its_process_killed() -> None:
    """The time limit ends the call and the process, and the next picture is decoded by a fresh one."""
    decoder = ImageDecoder(DecoderLimits(processes=1, seconds=1.5))
    await decoder.decode(astronaut())
    (pid,) = pids(decoder)
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    refused = await refusal(decoder, astronaut())
    assert refused.code is FailureCode.IMAGE_TOO_MANY_PIXELS
    assert time.monotonic() - began < 3.0
    assert not is_running(pid)
    assert (await decoder.decode(astronaut())).width == 512
    await decoder.aclose()


@pytest.mark.parametrize(
    ("death", "code"),
    [
        (signal.SIGSEGV, FailureCode.IMAGE_DAMAGED),
        (signal.SIGKILL, FailureCode.TEMPORARILY_UNAVAILABLE),
    ],
)
async def test_a_process_that_dies_at_work_blames_the_picture_only_for_a_crash(
    decoder: ImageDecoder, death: signal.Signals, code: FailureCode
) -> None:
    """A decoder that crashed refuses the picture; one that was killed says nothing of it. Both are replaced."""
    await decoder.decode(astronaut())
    (pid,) = pids(decoder)
    os.kill(pid, signal.SIGSTOP)
    call = asyncio.create_task(refusal(decoder, astronaut()))
    await asyncio.sleep(0.05)
    os.kill(pid, death)
    with contextlib.suppress(ProcessLookupError):  # SIGKILL does not wait for it to go on
        os.kill(pid, signal.SIGCONT)
    assert (await call).code is code
    assert (await decoder.decode(astronaut())).width == 512
    assert pid not in pids(decoder)


async def test_a_process_that_died_between_pictures_is_replaced(decoder: ImageDecoder) -> None:
    """Nobody's picture suffers from it."""
    await decoder.decode(astronaut())
    (pid,) = pids(decoder)
    os.kill(pid, signal.SIGKILL)
    await asyncio.sleep(0.2)
    assert (await decoder.decode(astronaut())).width == 512


async def test_a_cancelled_call_leaves_no_half_answer_behind(decoder: ImageDecoder) -> None:
    """The next caller gets its own picture, not the rest of the cancelled one's."""
    await decoder.decode(astronaut())
    call = asyncio.create_task(decoder.decode(large_png()))
    await asyncio.sleep(0.005)
    call.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await call
    assert (await decoder.decode(astronaut())).width == 512


async def test_processes_are_replaced_after_so_many_pictures() -> None:
    """What leaks in a process ends with it."""
    decoder = ImageDecoder(DecoderLimits(processes=1, pictures=2))
    seen = []
    for _ in range(4):
        await decoder.decode(astronaut())
        seen.append(pids(decoder))
    assert len(seen[0]) == 1
    assert seen[1] == [] == seen[3]
    assert seen[2] != seen[0]
    await decoder.aclose()


async def test_pictures_are_decoded_side_by_side_by_so_many_processes() -> None:
    """More calls than processes wait for their turn, and each gets its own answer."""
    decoder = ImageDecoder(DecoderLimits(processes=2))
    sent = [astronaut(), no_face()] * 3
    widths = [decoded.width for decoded in await asyncio.gather(*map(decoder.decode, sent))]
    assert widths == [512, 600] * 3
    assert len(pids(decoder)) == 2
    await decoder.aclose()


async def test_memory_is_bounded() -> None:
    """A picture that needs more than its share is refused, not paid for by the machine."""
    decoder = ImageDecoder(DecoderLimits(processes=1, memory_bytes=120 * 2**20))
    refused = await refusal(decoder, large_png())
    assert refused.code in {FailureCode.IMAGE_TOO_MANY_PIXELS, FailureCode.IMAGE_DAMAGED}
    await decoder.aclose()
    roomy = ImageDecoder(DecoderLimits(processes=1))
    assert (await roomy.decode(large_png())).source_width == 5000
    await roomy.aclose()


def large_png() -> bytes:
    """25 megapixels in 80 kB: within every limit of the header."""
    return encoded(Image.new("RGB", (5000, 5000), (90, 120, 90)), "PNG")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_children_see_nothing_of_the_environment_but_what_they_are_given() -> None:
    """Keys in this process's environment are out of a broken decoder's reach."""
    decoder = ImageDecoder(DecoderLimits(processes=1), environment={"GREENROOM_RUN": "abc"})
    await decoder.decode(astronaut())
    (pid,) = pids(decoder)
    assert environment_of(pid) == b"GREENROOM_RUN=abc\0"
    await decoder.aclose()


async def test_closing_ends_every_process_and_every_call(decoder: ImageDecoder) -> None:
    """Nothing is left behind, and a call afterwards is told to come again."""
    await decoder.decode(astronaut())
    (pid,) = pids(decoder)
    os.kill(pid, signal.SIGSTOP)
    call = asyncio.create_task(refusal(decoder, astronaut()))
    await asyncio.sleep(0.05)
    await decoder.aclose()
    assert (await call).code is FailureCode.TEMPORARILY_UNAVAILABLE
    assert not is_running(pid)
    assert (await refusal(decoder, astronaut())).code is FailureCode.TEMPORARILY_UNAVAILABLE


PARENT = """
import asyncio, sys
from adapters.image_decoding import ImageDecoder
async def main():
    decoder = ImageDecoder()
    await decoder.decode(open(sys.argv[1], "rb").read())
    print(*[child._process.pid for child in decoder._children], flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


async def test_children_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """Kill -9 of the worker leaves no decoder behind."""
    source = tmp_path / "source.png"
    source.write_bytes(astronaut())
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore", "-c", PARENT, str(source)), stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    assert is_running(child)
    parent.kill()
    await parent.wait()
    await wait_until_gone(child)
