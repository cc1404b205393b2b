"""The process apart in which a renderer prepares portraits: pictures in, banks out; never imported by its parent.

Frames on both pipes: an 8-byte length, then that many bytes. A request is two, a JSON header and the portrait; an
answer is two, a JSON header (version and size, or `error`) and the bank.
"""

import contextlib
import ctypes
import hashlib
import io
import json
import logging
import os
import signal
import struct
import sys
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from domain.avatars import shown_size
from presence.renderers.bank_file import About, bank_version, pack
from presence.renderers.base import Renderer
from presence.renderers.registry import UnknownRenderer, find_renderer
from presence.scene import fitted

log = logging.getLogger("presence.renderers.bank_process")

LENGTH = struct.Struct(">Q")
PR_SET_PDEATHSIG = 1
NICENESS = 10
"""Nobody waits for a bank, and others on this machine are waited for."""


class BankProcess:
    """One renderer, by its name, and the size of the videos that it prepares for."""

    def __init__(self, name: str, longer_side: int) -> None:
        self._name, self._longer_side = name, longer_side
        self._renderer: Renderer | None = None

    def answer(self, header: dict[str, Any], portrait: bytes) -> tuple[dict[str, Any], bytes]:
        """The header and the bank that answer one request; whatever the renderer raises is an `error`."""
        try:
            if self._renderer is None:
                self._renderer = find_renderer(self._name)
            version = bank_version(self._renderer)
            if header["what"] == "version" or version is None:
                return {"version": version}, b""
            return self._prepared(self._renderer, version, header, portrait)
        except UnknownRenderer as error:
            return {"error": str(error)}, b""
        except Exception as error:
            log.exception("the renderer %s failed", self._name)
            return {"error": f"{type(error).__name__}: {error}"}, b""

    def _prepared(
        self, renderer: Renderer, version: str, header: dict[str, Any], portrait: bytes
    ) -> tuple[dict[str, Any], bytes]:
        if hashlib.sha256(portrait).hexdigest() != header["sha256"]:
            raise ValueError("the portrait's bytes do not have the expected hash")
        with Image.open(io.BytesIO(portrait)) as opened:
            image = np.asarray(opened.convert("RGB"))
        width, height = shown_size(image.shape[1], image.shape[0], self._longer_side)
        pixels, keypoints = fitted(image, tuple((x, y) for x, y in header["keypoints"]), (width, height))
        about = About(
            renderer=self._name, version=version, portrait_sha256=header["sha256"], width=width, height=height
        )
        with tempfile.TemporaryDirectory(prefix="greenroom-") as folder:
            renderer.prepare(pixels, keypoints, Path(folder))
            return {"version": version, "width": width, "height": height}, pack(Path(folder), about)


def serve(process: BankProcess, requests: BinaryIO, answers: BinaryIO, seconds: int) -> None:
    """Answer until the pipe ends: the parent has closed it, or is dead."""
    while (header := _read(requests)) is not None and (portrait := _read(requests)) is not None:
        # The alarm's default action ends the process even inside native code, and with nobody left to kill it.
        signal.alarm(seconds)
        head, bank = process.answer(json.loads(header), portrait)
        signal.alarm(0)
        for frame in (json.dumps(head).encode(), bank):
            answers.write(LENGTH.pack(len(frame)))
            answers.write(frame)
        answers.flush()


def _read(pipe: BinaryIO) -> bytes | None:
    head = pipe.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (size,) = LENGTH.unpack(head)
    body = pipe.read(size)
    return body if len(body) == size else None


def main() -> None:
    """Serve the parent: arguments are the renderer's name, the video's longer side, and the most seconds a portrait."""
    name, longer_side, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the parent
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not land between the answers
    logging.basicConfig(level=logging.WARNING)
    with contextlib.suppress(BrokenPipeError):
        serve(BankProcess(name, longer_side), sys.stdin.buffer, answers, seconds)
    os._exit(0)


if __name__ == "__main__":
    main()
