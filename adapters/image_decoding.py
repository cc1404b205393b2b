"""Decodes strangers' pictures in processes apart: one that hangs or crashes its decoder harms nothing else."""

import asyncio
import json
import signal
import struct
import sys
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from adapters.image_reading import DecodedImage, check_bytes
from domain.failures import FailureCode, Refused

LENGTH = struct.Struct(">I")

MODULE = "adapters.image_decoding_child"

PICTURES_FAULT = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL)
"""Signals by which a decoder dies of its picture; any other death says nothing about the picture."""

DYING_SECONDS = 1.0
"""How long a process may take to die after its pipe broke."""


@dataclass(frozen=True, kw_only=True)
class DecoderLimits:
    """What one decoding process may take."""

    seconds: float = 10.0
    """For one picture; then the process is killed."""
    memory_bytes: int = 2 * 2**30
    """Of address space."""
    pictures: int = 200
    """After so many the process is replaced, and with it whatever leaked."""
    processes: int = 2
    """At work at once; further calls wait."""


class ImageDecoder:
    """Decodes pictures in child processes, which are started when first needed and kept. Belongs to one event loop.

    The children get `environment` and nothing of this process's own, which may hold secrets. They end with this
    process however it ends: their pipe closes.
    """

    def __init__(self, limits: DecoderLimits | None = None, *, environment: Mapping[str, str] | None = None) -> None:
        self._limits = limits or DecoderLimits()
        self._environment = dict(environment or {})
        self._turns = asyncio.Semaphore(self._limits.processes)
        self._idle: deque[Child] = deque()
        self._children: set[Child] = set()
        self._closed = False

    async def decode(self, data: bytes) -> DecodedImage:
        """The picture upright, in RGB, as a JPEG of at most 2560 pixels; Refused where it cannot be had.

        TEMPORARILY_UNAVAILABLE says that the decoder failed and not the picture; every other code is final.
        """
        check_bytes(data)
        async with self._borrowed() as child:
            header, jpeg = await self._exchange(child, data)
        if "refused" in header:
            raise Refused(FailureCode(header["refused"]), header["message"], details=header["details"])
        return DecodedImage(jpeg=jpeg, **header)

    async def aclose(self) -> None:
        """End every child. Calls still under way are answered TEMPORARILY_UNAVAILABLE."""
        self._closed = True
        self._idle.clear()
        await asyncio.gather(*(child.end() for child in list(self._children)))
        self._children.clear()

    async def _exchange(self, child: "Child", data: bytes) -> tuple[dict[str, Any], bytes]:
        """Have one child decode one picture, within the time limit."""
        try:
            async with asyncio.timeout(self._limits.seconds):
                return await child.ask(data)
        except TimeoutError:
            raise Refused(
                FailureCode.IMAGE_TOO_MANY_PIXELS,
                "The picture takes too long to decode",
                details={"seconds_limit": self._limits.seconds},
            ) from None
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            status = await child.wait_for_death()
            if -status in PICTURES_FAULT:
                raise Refused(FailureCode.IMAGE_DAMAGED, "The picture is damaged") from error
            raise Refused(
                FailureCode.TEMPORARILY_UNAVAILABLE, "The picture's decoder stopped", details={"exit_status": status}
            ) from error

    @asynccontextmanager
    async def _borrowed(self) -> AsyncIterator["Child"]:
        """A living child for one picture. It is kept only if that went well: else its pipes are in an unknown state."""
        async with self._turns:
            child = await self._take()
            kept = False
            try:
                yield child
                kept = child.answered < self._limits.pictures and not self._closed
            finally:
                if kept:
                    self._idle.append(child)
                else:
                    self._children.discard(child)
                    await asyncio.shield(child.end())

    async def _take(self) -> "Child":
        """An idle child that still lives, or a new one."""
        while self._idle:
            child = self._idle.popleft()
            if child.lives:
                return child
            self._children.discard(child)
            await child.end()
        if self._closed:
            raise Refused(FailureCode.TEMPORARILY_UNAVAILABLE, "The picture decoder is closed")
        child = await Child.start(self._limits, self._environment)
        self._children.add(child)
        return child


class Child:
    """One decoding process, and the two pipes to it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.answered = 0
        self._process = process

    @classmethod
    async def start(cls, limits: DecoderLimits, environment: Mapping[str, str]) -> "Child":
        """Start a process; it answers after about 0.1 s."""
        # Its own alarm comes later than ours, and is for the case that this process has died meanwhile.
        arguments = (str(limits.memory_bytes), str(int(limits.seconds) + 2))
        process = await asyncio.create_subprocess_exec(
            # -P: the working folder is no place to import from.
            *(sys.executable, "-P", "-m", MODULE, *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
        )
        return cls(process)

    @property
    def lives(self) -> bool:
        """False once the process's end was noticed."""
        return self._process.returncode is None

    async def ask(self, data: bytes) -> tuple[dict[str, Any], bytes]:
        """Send a picture and wait for the header and the JPEG. IncompleteReadError or ConnectionError if it dies."""
        to_child, from_child = self._process.stdin, self._process.stdout
        if to_child is None or from_child is None:
            raise ConnectionError("the decoder has no pipes")
        to_child.write(LENGTH.pack(len(data)))
        to_child.write(data)
        await to_child.drain()
        frames = []
        for _ in ("header", "jpeg"):
            (size,) = LENGTH.unpack(await from_child.readexactly(LENGTH.size))
            frames.append(await from_child.readexactly(size))
        self.answered += 1
        return json.loads(frames[0]), frames[1]

    async def wait_for_death(self) -> int:
        """The exit status of a process whose pipe broke: negative for the signal that it died of."""
        try:
            # Killing it at once would reap it, and lose the status that tells whose fault its death was.
            async with asyncio.timeout(DYING_SECONDS):
                return await self._process.wait()
        except TimeoutError:
            return await self.end()

    async def end(self) -> int:
        """Kill the process and wait until it is gone; answers its exit status."""
        if self.lives:
            self._process.kill()
        return await self._process.wait()
