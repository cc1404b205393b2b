"""The face pipeline by itself: its CPU, its memory for a huge picture, and how many pictures all cores take."""

import io
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from bench.floors.processes import child
from bench.report import Goal, Row, row
from cli.library.builtin import astronaut

HUGE = (8660, 5773)
"""50 megapixels."""
AT_ONCE = 24
"""Pictures of a round of throughput."""


async def measure_faces(rounds: int, tell: Callable[[str], None]) -> list[Row]:
    """Every row of the pipeline."""
    return [
        await measure_cpu(rounds, tell),
        await measure_throughput(max(rounds // 6, 2), tell),
        await measure_memory(max(rounds // 6, 2), tell),
    ]


async def measure_cpu(rounds: int, tell: Callable[[str], None]) -> Row:
    """The pipeline's CPU in a process of its own, and where it goes."""
    values: list[float] = []
    floors: list[float] = []
    stages: dict[str, list[float]] = {}
    async with child("bench.floors.faces", str(astronaut())) as process:
        for number in range(-2, rounds):
            tell(f"faces: round {max(number + 1, 0)} of {rounds}")
            process.tell({})
            answer = await process.answer()
            if number < 0:
                continue
            values.append(answer["pipeline_ms"])
            floors.append(answer["detection_ms"])
            for name, took in answer["stages"].items():
                stages.setdefault(name, []).append(took)
    name = "CPU of bare two-pass detection"
    note = ", ".join(f"{stage} {sorted(took)[len(took) // 2]:.1f} ms" for stage, took in stages.items())
    return row("upload_face", values, floors, unit="ms of CPU", reference_name=name, goal=Goal(ratio=2.5), note=note)


async def measure_throughput(rounds: int, tell: Callable[[str], None]) -> Row:
    """Pictures a second of the faces role's steps, beside the same pipeline in a plain pool of processes."""
    values: list[float] = []
    floors: list[float] = []
    async with (
        child("bench.floors.faces_steps", str(astronaut())) as ours,
        child("bench.floors.faces_pool", str(astronaut())) as pool,
    ):
        for number in range(-1, rounds):
            tell(f"faces at once: round {number + 1} of {rounds}")
            for process, rates in ((ours, values), (pool, floors)):
                process.tell({"pictures": AT_ONCE})
                seconds = (await process.answer())["seconds"]
                if number >= 0:
                    rates.append(AT_ONCE / seconds)
    return row(
        "faces_throughput",
        values,
        floors,
        unit="pictures/s",
        reference_name="the pipeline in a plain pool of processes",
        goal=Goal(least_ratio=0.85),
    )


async def measure_memory(rounds: int, tell: Callable[[str], None]) -> Row:
    """Memory that a 50-megapixel JPEG takes at most, beside what Pillow takes to decode it in full."""
    values: list[float] = []
    floors: list[float] = []
    with tempfile.TemporaryDirectory(prefix="greenroom-bench-") as folder:
        picture = Path(folder) / "huge.jpg"
        picture.write_bytes(huge_jpeg())
        async with (
            child("bench.floors.faces_steps", str(astronaut())) as ours,
            child("bench.floors.faces_pool", str(astronaut())) as plain,
        ):
            for number in range(-1, rounds):
                tell(f"50 megapixels: round {number + 1} of {rounds}")
                for process, peaks in ((ours, values), (plain, floors)):
                    process.tell({"peak": str(picture)})
                    peak_mb = (await process.answer())["peak_mb"]
                    if number >= 0:
                        peaks.append(peak_mb)
    return row(
        "upload_50mp", values, floors, unit="MB", reference_name="Pillow decodes it in full", goal=Goal(value=200)
    )


def huge_jpeg() -> bytes:
    """The portrait at 50 megapixels, of at most 10 MB."""
    out = io.BytesIO()
    with Image.open(astronaut()) as image:
        image.convert("RGB").resize(HUGE, Image.Resampling.BICUBIC).save(out, "JPEG", quality=85)
    return out.getvalue()
