"""`make soak`: minutes of speech in a real room without a pause: do sound, picture, positions and memory drift?"""

import asyncio
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console

from bench.media import busiest
from bench.site import Site, memory_mb, running_site
from bench.speech import our_stage
from bench.talk.drift import Evidence, Finding, findings, judge
from bench.talk.sounds import beats
from bench.talk.stage import Stage
from cli.console import print_whole

SEGMENT_S = 10
AHEAD = 2
"""Segments that are under way or wait: the avatar's voice never pauses, so that its clock is never set anew."""
LOOK_EVERY_S = 5.0


async def soak(minutes: float, tell: Callable[[str], None]) -> Evidence:
    """Speak for so long in a session of a running system."""
    with tempfile.TemporaryDirectory(prefix="greenroom-soak-") as folder:
        tell("starting the system")
        async with running_site(Path(folder)) as site, our_stage(site) as stage:
            await stage.learn_mouth()
            await stage.rest()
            return await speak(site, stage, max(round(minutes * 60 / SEGMENT_S), AHEAD + 1), tell)


async def speak(site: Site, stage: Stage, segments: int, tell: Callable[[str], None]) -> Evidence:
    """Say the segments back to back, and look at the media process meanwhile."""
    agent, watcher = stage.agent, stage.watcher
    already = len(agent.finished)
    memory: list[tuple[float, float]] = []
    began = time.monotonic()
    watching = asyncio.create_task(watch_memory(await busiest(site), memory))
    try:
        for number in range(segments):
            tell(f"soak: segment {number + 1} of {segments}")
            if number >= AHEAD:
                await agent.wait_finished(already + number - AHEAD + 1, within_s=SEGMENT_S * (AHEAD + 2))
            await agent.say(beats(SEGMENT_S))
        await agent.wait_finished(already + segments, within_s=SEGMENT_S * (AHEAD + 2))
    finally:
        watching.cancel()
    await asyncio.sleep(1)
    return Evidence(
        began=began,
        segment_s=SEGMENT_S,
        played=agent.finished[already:],
        blocks=[block for block in watcher.blocks if block.at >= began],
        looks=[look for look in watcher.looks if look.at >= began],
        memory=memory,
    )


async def watch_memory(pid: int, found: list[tuple[float, float]]) -> None:
    """Note the process's size now and then."""
    while True:
        found.append((time.monotonic(), memory_mb(pid)))
        await asyncio.sleep(LOOK_EVERY_S)


@click.command("soak", context_settings={"max_content_width": 100})
@click.option("--minutes", default=5.0, show_default=True, type=click.FloatRange(0.5, 600), help="How long to speak.")
def main(*, minutes: float) -> None:
    """Speak in a real room without a pause, and measure whether anything drifts.

    A subscriber notes when each beat is heard and when the mouth opens for it. The exit code is 1 if sound and picture
    moved apart, a position was wrong, or the media process grew. Frame rate and gaps are printed and not judged:
    they tell of the machine.
    """
    logging.getLogger("livekit").setLevel(logging.CRITICAL)
    progress = Console(stderr=True)
    with progress.status("soaking") as status:

        def tell(what: str) -> None:
            status.update(what)
            if not progress.is_terminal:
                progress.print(what, style="dim")

        evidence = asyncio.run(soak(minutes, tell))
    found = findings(evidence)
    print_whole(found.table())
    wrong = judge(found)
    for sentence in wrong:
        click.echo(f"drift: {sentence}", err=True)
    click.echo("SOAK " + json.dumps(asdict(found) | {"wrong": wrong}))
    sys.stdout.flush()
    os._exit(1 if wrong else 0)  # the SDK's threads may hang in an orderly exit


__all__ = ["Finding", "main", "soak"]

if __name__ == "__main__":
    main()
