"""A process that ends when its parent dies, however the parent dies; it never keeps anything alive.

The parent keeps the writing end of a pipe, the child reads the other end: the kernel closes the writing end with the
parent, and the child sees the end of the file. `python -m runtime.lifeline MODULE ARGS...` holds on before it imports
MODULE, so that no import, however slow, is a gap.
"""

import ctypes
import os
import runpy
import signal
import sys
import threading
import time
from collections.abc import MutableMapping
from dataclasses import dataclass

VARIABLE = "GREENROOM_LIFELINE_FD"
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, kw_only=True)
class Lifeline:
    """The parent's side: children inherit `reading`; `writing` stays here and is inherited by nobody."""

    reading: int
    """Descriptor to pass to children (`pass_fds`)."""

    writing: int
    """Descriptor whose closing ends the children."""

    def cut(self) -> None:
        """End the children that still watch, as the parent's death would."""
        os.close(self.writing)
        os.close(self.reading)


def new_lifeline() -> Lifeline:
    """A pipe for the children of this process. Both ends are close-on-exec until passed on by name."""
    reading, writing = os.pipe()
    return Lifeline(reading=reading, writing=writing)


def end_with_parent_thread(sig: signal.Signals = signal.SIGKILL) -> None:
    """Ask the kernel to signal this process when the thread that started it ends (Linux; elsewhere nothing).

    It is the *thread*, so children must be started from a thread that lives as long as the process. The pipe covers
    the moment between start and this call.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, sig, 0, 0, 0)


def hold_on(environ: MutableMapping[str, str], *, grace_s: float = 3.0) -> bool:
    """Watch the inherited pipe that GREENROOM_LIFELINE_FD names; False if there is none.

    At its end this process gets SIGTERM, and is gone `grace_s` later whatever it does. The variable is taken out of
    `environ`: the number means nothing in a grandchild.
    """
    number = environ.pop(VARIABLE, "")
    if not number:
        return False
    reading = int(number)
    os.set_inheritable(reading, False)
    end_with_parent_thread(signal.SIGTERM)
    threading.Thread(target=_watch, args=(reading, grace_s), name="lifeline", daemon=True).start()
    return True


def _watch(reading: int, grace_s: float) -> None:
    while os.read(reading, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_s)
    os._exit(1)


def main() -> None:
    """Hold on, then become the module named on the command line."""
    if len(sys.argv) < 2:  # noqa: PLR2004
        raise SystemExit("usage: python -m runtime.lifeline MODULE [ARGS...]")
    hold_on(os.environ)
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
