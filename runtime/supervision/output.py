"""What a part prints: kept in a log file of bounded size, its last lines in memory; it knows no part's format."""

import asyncio
import contextlib
import os
import re
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

MOST_BYTES = 10 << 20
"""A log that grows past this is renamed to `<name>.log.1`, over the one before."""

LONGEST_LINE = 16 << 10
LAST_LINES = 20
REST_READS = 100
CALM = re.compile(rb'^(?:\d{4}-\d\d-\d\d \S+ |\{"time": "[^"]*", "level": ")(DEBUG|INFO|WARNING)\b')
"""A line whose own level is lower, whatever it quotes: an avatar server quotes its media processes."""
ERROR = re.compile(rb'\b(ERROR|CRITICAL|FATAL|panic:)\b|^Traceback |"level":\s*"(error|fatal)"')


class PartOutput:
    """The log of one part over all its lives."""

    def __init__(self, path: Path, *, on_error: Callable[[str], None]) -> None:
        """Append to `path`; `on_error` is told each line that looks like an error."""
        self._path = path
        self._on_error = on_error
        self._file = path.open("ab")
        self._reading: set[int] = set()
        self._held = b""
        self._expected = b""
        self._said = False
        self.last: deque[str] = deque(maxlen=LAST_LINES)

    @contextlib.contextmanager
    def attached(self, expected: str) -> Iterator[int]:
        """A new life: forget what was said, watch for the line `expected`. Gives the descriptor for the child to write.

        A pipe of our own, not asyncio's: there, waiting for a process also waits for every grandchild that holds it.
        """
        self._expected, self._held = expected.encode(), b""
        self._said = False
        self.last.clear()
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        asyncio.get_running_loop().add_reader(reading, self._read, reading)
        self._reading.add(reading)
        try:
            yield writing
        finally:
            os.close(writing)

    def said(self, text: str) -> bool:
        """Whether the expected line came in this life."""
        return self._said and text.encode() == self._expected

    def read_rest(self) -> None:
        """Read what is left of a life that has ended, then stop reading: a stray grandchild may hold its pipe."""
        for reading in tuple(self._reading):
            for _ in range(REST_READS):  # not for ever: a stray may write without end
                if not self._read(reading):
                    break
            self._leave(reading)

    def _read(self, reading: int) -> bool:
        """Keep what is there now; False if nothing was. A line too long is cut into several."""
        try:
            chunk = os.read(reading, 1 << 16)
        except BlockingIOError:
            return False
        if not chunk:
            self._leave(reading)
            return False
        *lines, held = (self._held + chunk).split(b"\n")
        if len(held) > LONGEST_LINE:
            lines.append(held)
            held = b""
        self._held = held
        for line in lines:
            self._keep(line.rstrip(b"\r"))
        self._file.flush()
        return True

    def _leave(self, reading: int) -> None:
        if reading in self._reading:
            self._reading.discard(reading)
            asyncio.get_running_loop().remove_reader(reading)
            os.close(reading)
            if self._held:
                self._keep(self._held)
                self._held = b""
            self._file.flush()

    def note(self, text: str) -> None:
        """A line of the supervisor's own in the part's log."""
        self._write(f"-- {text}".encode())
        self._file.flush()

    def close(self) -> None:
        """Read what is left, and close the file."""
        self.read_rest()
        self._file.close()

    def _keep(self, line: bytes) -> None:
        self._write(line)
        self._said = self._said or line == self._expected
        text = line.decode(errors="replace")
        self.last.append(text)
        if ERROR.search(line) and not CALM.match(line):
            self._on_error(text)

    def _write(self, line: bytes) -> None:
        if self._file.tell() > MOST_BYTES:
            self._file.close()
            self._path.replace(self._path.with_suffix(".log.1"))
            self._file = self._path.open("ab")
        self._file.write(datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ ").encode() + line + b"\n")
