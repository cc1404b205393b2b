"""The process apart in which strangers' pictures are decoded: pictures in, verdicts out, nothing else. Never imported.

Frames on both pipes: a 4-byte length, then that many bytes. A request is one frame, the picture. An answer is two:
a JSON header (the decoded picture's fields, or a refusal) and the JPEG, empty after a refusal.
"""

import contextlib
import ctypes
import json
import os
import resource
import signal
import struct
import sys
from dataclasses import asdict
from typing import BinaryIO

from adapters.image_reading import read_picture
from domain.failures import Refused

LENGTH = struct.Struct(">I")

PR_SET_PDEATHSIG = 1


def serve(requests: BinaryIO, answers: BinaryIO, seconds: int) -> None:
    """Answer pictures until the pipe ends: the parent has closed it, or is dead."""
    while (data := read_frame(requests)) is not None:
        # The alarm's default action ends the process even inside a C decoder, and with nobody left to kill it.
        signal.alarm(seconds)
        header, jpeg = answer(data)
        signal.alarm(0)
        for frame in (json.dumps(header).encode(), jpeg):
            answers.write(LENGTH.pack(len(frame)))
            answers.write(frame)
        answers.flush()


def answer(data: bytes) -> tuple[dict[str, object], bytes]:
    """The header and the JPEG that answer one picture."""
    try:
        decoded = asdict(read_picture(data))
    except Refused as refusal:
        return {"refused": refusal.code, "message": refusal.message, "details": refusal.details}, b""
    jpeg = decoded.pop("jpeg")
    return decoded, jpeg


def read_frame(pipe: BinaryIO) -> bytes | None:
    """The next frame; None where the pipe ends."""
    head = pipe.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (size,) = LENGTH.unpack(head)
    body = pipe.read(size)
    return body if len(body) == size else None


def confine(memory_bytes: int) -> None:
    """Bound the address space, allow no files and no core dumps, and die with the parent where Linux offers it."""
    limits = ((resource.RLIMIT_AS, memory_bytes), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0))
    for limit, value in limits:
        # macOS refuses to bound the address space; the header's checks and the alarm hold there too.
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(limit, (value, value))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    """Serve the parent: arguments are the memory limit in bytes and the longest time for one picture in seconds."""
    memory_bytes, seconds = int(sys.argv[1]), int(sys.argv[2])
    # Ctrl-C reaches the whole process group; when to stop is the parent's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    # Whatever a library prints must not land between the answers.
    os.dup2(2, 1)
    confine(memory_bytes)
    serve(sys.stdin.buffer, answers, seconds)


if __name__ == "__main__":
    main()
