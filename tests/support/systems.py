"""A whole system in a process of its own, so that a test can kill its supervisor; prints its state as one JSON line."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from runtime.settings import Settings
from runtime.supervisor import RUN
from runtime.system.running import ROLES, SystemOptions, running_system


async def prepare_nothing(settings: Settings, api_key: str) -> None:
    """The stand-in parts need no database."""
    del settings, api_key


def stand_in_options(folder: Path, environ: dict[str, str], said: list[tuple[str, str]]) -> SystemOptions:
    """Real Temporal and LiveKit with stand-in parts, on free ports."""
    root = str(Path(__file__).parents[2])
    paths = os.pathsep.join((root, f"{root}/tests"))
    return SystemOptions(
        data_dir=folder,
        environ={**environ, "PYTHONPATH": paths},
        prepare=prepare_nothing,
        announce=lambda part, text: said.append((part, text)),
        free_ports=True,
        program="support.stand_in_part",
    )


async def main() -> None:
    """Run until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running_system(stand_in_options(Path(sys.argv[1]), dict(os.environ), [])) as system:
        pids = {name: system.pid(name) for name in ("temporal", "livekit", "api", *ROLES)}
        state = {RUN: system.run, "pids": pids, "api_key": system.api_key, "api_url": system.api_url}
        print(json.dumps({**state, "temporal": system.temporal_address}), flush=True)  # noqa: T201
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
