"""`python -m worker ROLE`: serve a role until SIGTERM or SIGINT."""

import asyncio
import os
import signal
import sys

from runtime.log import configure_logging
from runtime.settings import SettingsError, load_settings
from worker.assembly import run_role
from worker.registry import ROLES

READY = "ready"
"""The line on standard output by which a supervisor sees that the role serves."""


async def serve(role: str) -> None:
    """Run one role; settings come from the environment."""
    settings = load_settings(os.environ)
    configure_logging(settings.log_level)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await run_role(role, settings, os.environ, stop, lambda: print(READY, flush=True))  # noqa: T201 - for the supervisor


def main(role: str) -> int:
    """The exit code: 0 after a stop, 2 for a wrong setting."""
    try:
        asyncio.run(serve(role))
    except SettingsError as error:
        print(f"greenroom: {error}", file=sys.stderr)  # noqa: T201 - a command line says what is wrong
        return 2
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in ROLES:  # noqa: PLR2004
        sys.exit(f"usage: python -m worker {'|'.join(ROLES)}")
    sys.exit(main(sys.argv[1]))
