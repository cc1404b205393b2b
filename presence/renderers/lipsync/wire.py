"""What a track and the host exchange: one shared memory a track, and single bytes that say whose turn it is; no I/O.

The host makes the memory and hands it over when a track connects, with `HELLO`. The track writes its face once and a
mel window each frame, and sends `ASK`; the host writes the mouth and sends an `ANSWER`. One of the two is under way at
most, so that nobody reads what the other one writes. The memory has no name: it goes with the last who holds it.
"""

import fcntl
import mmap
import os
import struct
import tempfile
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

SIDE: Final = 96
BANDS: Final = 80
STEPS: Final = 16
FACE: Final = (6, SIDE, SIDE)
"""Blue, green, red with the lower half masked, and again without; 0..1."""
MEL: Final = (BANDS, STEPS)
MOUTH: Final = (3, SIDE, SIDE)
"""Blue, green, red; 0..1."""

HELLO: Final = b"greenroom lipsync 1"
ASK: Final = b"?"
ANSWER: Final = struct.Struct("<I")
"""How many tracks were served together."""

_SHAPES: Final = (FACE, MEL, MOUTH)
_COUNTS: Final = tuple(int(np.prod(shape)) for shape in _SHAPES)
SIZE: Final = 4 * sum(_COUNTS)


class SharedFrame:
    """One track's memory as three arrays of float32. It is unmapped when nobody refers to them."""

    def __init__(self, descriptor: int) -> None:
        mapped = np.frombuffer(mmap.mmap(descriptor, SIZE), np.float32)
        ends = np.cumsum(_COUNTS)[:-1]
        self.face, self.mel, self.mouth = (
            part.reshape(shape) for part, shape in zip(np.split(mapped, ends), _SHAPES, strict=True)
        )


def new_memory() -> int:
    """A descriptor of a frame's memory, which nobody can shorten under the other's feet where the system has seals."""
    if not hasattr(os, "memfd_create"):
        with tempfile.TemporaryFile() as file:
            file.truncate(SIZE)
            return os.dup(file.fileno())
    descriptor = os.memfd_create("greenroom-lipsync", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, SIZE)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return descriptor
