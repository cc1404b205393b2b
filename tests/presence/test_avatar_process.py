"""The main of a media process, as far as it needs no room."""

import subprocess
import sys
import time

from presence.processes import protocol
from presence.processes.protocol import Leave, Ready

LEAVING = """
import time
from worker.avatar_process import Watchdog
Watchdog().leave_soon()
time.sleep(60)
"""

STUCK = """
import asyncio, time
from worker import avatar_process
avatar_process.STUCK_AFTER_S, avatar_process._BEAT_S = 1, 0.2

async def main():
    guard = asyncio.create_task(avatar_process.Watchdog().guard())
    await asyncio.sleep(1.8)
    print("alive", flush=True)
    time.sleep(60)

asyncio.run(main())
"""

NOISY = """
import os
from worker import avatar_process
make = avatar_process.EventPipe.__init__

def make_and_print(self):
    make(self)
    os.write(1, b"native noise\\n")

avatar_process.EventPipe.__init__ = make_and_print
avatar_process.main()
"""


def test_a_leave_that_hangs_is_cut_off() -> None:
    """A process that was told to leave is gone after 2 s, whatever holds it up."""
    started = time.monotonic()
    process = subprocess.run([sys.executable, "-c", LEAVING], capture_output=True, timeout=20, check=False)
    assert process.returncode == 1
    assert b"Timeout" in process.stderr
    assert time.monotonic() - started > 2


def test_a_stuck_event_loop_ends_the_process() -> None:
    """A loop that runs keeps the process alive beyond the bound; one that stands still does not."""
    process = subprocess.run([sys.executable, "-c", STUCK], capture_output=True, timeout=20, check=False)
    assert process.stdout == b"alive\n"
    assert process.returncode == 1


def test_native_prints_do_not_reach_the_parent_s_pipe() -> None:
    """What anybody prints goes to the log; a foreign line is skipped; Leave and the end of the pipe both end it."""
    for told in (b"no command\n" + protocol.encode_line(Leave()), b""):
        process = subprocess.run(
            [sys.executable, "-c", NOISY], input=told, capture_output=True, timeout=20, check=False
        )
        assert process.stdout == protocol.encode_line(Ready())
        assert b"native noise" in process.stderr
        assert process.returncode == 0
