"""Stands in for `greenroom api` and `greenroom worker ROLE` under a supervisor: ready at once, does nothing."""

import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from runtime.supervision.readiness import READY_LINE


class Answer(BaseHTTPRequestHandler):
    """Ready, whatever is asked."""

    def do_GET(self) -> None:
        """200."""
        self.send_response(200)
        self.end_headers()


def note_end(name: str) -> None:
    """Write down who ended in which order."""
    with (Path(os.environ["GREENROOM_DATA_DIR"]) / "ends").open("a") as file:
        file.write(f"{name}\n")


def main() -> None:
    """Be a part until SIGTERM. The avatar role has a child of its own, as the real one does."""
    name = sys.argv[-1]

    def end(*_: object) -> None:
        note_end(name)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    if sys.argv[1] == "api":
        HTTPServer(("127.0.0.1", int(os.environ["GREENROOM_PORT"])), Answer).serve_forever()
    if name == "avatar":
        watch = "import sys; sys.stdin.read()"
        subprocess.Popen([sys.executable, "-c", watch], stdin=subprocess.PIPE)
    print(READY_LINE, flush=True)  # noqa: T201 - the supervisor waits for it
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
