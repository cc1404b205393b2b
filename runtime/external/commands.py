"""Runs the set-up's foreign programs and tells what they say; a failure carries their last words."""

import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from runtime.external.found import Tell

LAST_LINES = 5


class CommandFailedError(Exception):
    """A program failed or took too long; the message ends with the last lines it printed."""


def run_told(
    command: Sequence[str], *, tell: Tell, within_s: float, environ: Mapping[str, str], folder: Path | None = None
) -> None:
    """Run a program and tell each line it prints; kill it after `within_s` seconds."""
    lines: list[str] = []
    with subprocess.Popen(  # noqa: S603
        command, env=environ, cwd=folder, text=True, errors="replace", stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        limit = threading.Timer(within_s, process.kill)
        limit.start()
        try:
            for line in process.stdout or ():
                if text := line.strip():
                    lines.append(text)
                    tell(text)
            code = process.wait()
        finally:
            limit.cancel()
            process.kill()
    if code != 0:
        said = "\n".join(lines[-LAST_LINES:])
        raise CommandFailedError(f"{Path(command[0]).name} ended with code {code}:\n{said}")


def version_of(binary: Path, *, within_s: float = 10) -> str | None:
    """The first line of `BINARY --version`; None if it does not run here."""
    try:
        ended = subprocess.run(  # noqa: S603
            [binary, "--version"],
            capture_output=True,
            text=True,
            timeout=within_s,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return ended.stdout.strip().partition("\n")[0]
