"""`python -m worker ROLE`: serve a role until SIGTERM or SIGINT."""

import asyncio
import logging
import os
import signal
import sys
from functools import partial
from typing import NoReturn

from temporalio import activity, workflow

from runtime.settings import SettingsError, load_settings
from runtime.watching import watched
from worker.assembly import run_role
from worker.registry import ROLES

log = logging.getLogger(__name__)

READY = "ready"
"""The line on standard output by which a supervisor sees that the role serves."""


async def serve(role: str) -> None:
    """Run one role; settings come from the environment."""
    settings = load_settings(os.environ)
    with watched(role, settings, os.environ):
        # The formatters know these ids; the SDK would write them into the message besides.
        workflow.logger.workflow_info_on_message = activity.logger.activity_info_on_message = False
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        said = partial(print, READY, flush=True)  # for the supervisor
        await run_role(role, settings, os.environ, stop, said)


def main(role: str) -> NoReturn:
    """Serve, and exit: 0 after a stop, 1 after a failure, 2 for a wrong setting.

    By then everything is closed. The interpreter's own tear-down is left out: Temporal's native threads are still
    there, and abort the process when they meet it (one stop in five after a workflow ran).
    """
    code = 1
    try:
        asyncio.run(serve(role))
        code = 0
    except SettingsError as error:
        print(f"greenroom: {error}", file=sys.stderr)  # noqa: T201 - a command line says what is wrong
        code = 2
    except BaseException:
        log.exception("the role %s failed", role)
    finally:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in ROLES:  # noqa: PLR2004
        sys.exit(f"usage: python -m worker {'|'.join(ROLES)}")
    main(sys.argv[1])
