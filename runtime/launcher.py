"""`python -m runtime.launcher [--end TERM|KILL] [--grace S] -- BINARY ARGS...`: a foreign binary that dies with us.

Standard library only, one thread, no state: it watches the life line for a binary that cannot. It restarts nothing.
"""

import argparse
import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from runtime.lifeline import VARIABLE, end_with_parent_thread

PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
TICK_S = 0.1


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="runtime.launcher")
    parser.add_argument("--end", choices=("TERM", "KILL"), default="TERM", help="signal sent when the parent is gone")
    parser.add_argument("--grace", type=float, default=2.0, help="seconds from that signal to SIGKILL")
    parser.add_argument("command", nargs="+")
    return parser.parse_args(argv)


def _start(command: Sequence[str], keep: tuple[int, ...]) -> "subprocess.Popen[bytes]":
    # preexec_fn is safe here and nowhere else: this process has one thread. PDEATHSIG must be set in the child itself.
    return subprocess.Popen(command, preexec_fn=end_with_parent_thread, pass_fds=keep)  # noqa: PLW1509, S603


def _serve(
    child: "subprocess.Popen[bytes]", wakeup: int, lifeline: int | None, end: signal.Signals, grace: float
) -> None:
    """Pass signals on until the child is gone; end it when the life line ends."""
    watched = [wakeup] if lifeline is None else [wakeup, lifeline]
    killed_at = float("inf")
    while child.poll() is None:
        # A tick besides the wake-up: a child that died before the handler stood would never be noticed.
        readable, _, _ = select.select(watched, [], [], TICK_S)
        if wakeup in readable:
            for number in os.read(wakeup, 64):
                if number in PASSED_ON:
                    child.send_signal(number)
        if lifeline in readable and not os.read(lifeline, 1):
            watched.remove(lifeline)
            child.send_signal(end)
            killed_at = time.monotonic() + grace
        if time.monotonic() >= killed_at:
            child.kill()


def _handle_nothing(number: int, frame: object) -> None:
    """Signals arrive through the wake-up pipe; the handler only keeps their default away."""


def main(argv: Sequence[str]) -> int:
    """Run the binary to its end; its exit code, or 128 + signal."""
    options = _arguments(argv)
    number = os.environ.pop(VARIABLE, "")
    lifeline = int(number) if number else None
    wakeup, notify = os.pipe()
    os.set_blocking(notify, False)
    signal.set_wakeup_fd(notify, warn_on_full_buffer=False)
    for passed in (*PASSED_ON, signal.SIGCHLD):
        signal.signal(passed, _handle_nothing)
    end_with_parent_thread(signal.SIGTERM)
    try:
        child = _start(options.command, _inherited(lifeline))
    except OSError as error:
        print(f"cannot start {options.command[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 127
    _serve(child, wakeup, lifeline, getattr(signal, f"SIG{options.end}"), options.grace)
    code = child.wait()
    return 128 - code if code < 0 else code


def _inherited(lifeline: int | None) -> tuple[int, ...]:
    """What the parent let us inherit beyond the standard streams (its lock): the binary must hold it as long as we."""
    found = []
    for name in os.listdir("/dev/fd"):  # noqa: PTH208
        number = int(name)
        with contextlib.suppress(OSError):  # the descriptor of this listing itself is closed again
            if number > 2 and number != lifeline and os.get_inheritable(number):  # noqa: PLR2004
                found.append(number)
    return tuple(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
