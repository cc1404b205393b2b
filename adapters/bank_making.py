"""Has a renderer prepare portraits in a process apart: foreign code that hangs, leaks or crashes harms nobody else."""

import asyncio
import contextlib
import json
import logging
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

log = logging.getLogger(__name__)

LENGTH = struct.Struct(">Q")
DYING_S = 1.0
"""How long a process may take to die after its pipe broke."""
MODULE = "presence.renderers.bank_process"


@dataclass(frozen=True, kw_only=True)
class MadeBank:
    """A bank, not stored yet."""

    version: str
    width: int
    height: int
    data: bytes


class CannotPrepare(Exception):
    """The renderer makes no bank of this portrait; the message says why, for operators."""


class BankMaker:
    """One process that prepares one portrait after another. Started when first needed; belongs to one event loop.

    It gets `environment` and nothing of this process's own, ends when it has been idle for a while, and ends with
    this process however it ends: its pipe closes, and its parent's death is a signal on Linux.
    """

    def __init__(
        self,
        renderer: str,
        *,
        longer_side: int = 0,
        environment: Mapping[str, str] | None = None,
        within_s: float = 120.0,
        idle_s: float = 30.0,
    ) -> None:
        """`longer_side` is that of the video, 0 the portrait's own; `within_s` bounds one portrait."""
        self.renderer = renderer
        self._arguments = (renderer, str(longer_side), str(int(within_s) + 2))
        self._environment = dict(environment or {})
        self._within_s, self._idle_s = within_s, idle_s
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._resting: asyncio.TimerHandle | None = None
        self._ending: asyncio.Future[int | None] | None = None

    async def version(self) -> str | None:
        """The renderer's bank version; None where nothing is to be stored of it. CannotPrepare without a renderer."""
        header, _ = await self._ask({"what": "version"}, b"")
        version: str | None = header["version"]
        return version

    async def make(self, portrait: bytes, sha256: str, keypoints: tuple[tuple[float, float], ...]) -> MadeBank | None:
        """The bank of an encoded portrait; None where the renderer wants none to be stored. CannotPrepare otherwise."""
        header, data = await self._ask({"what": "bank", "sha256": sha256, "keypoints": keypoints}, portrait)
        if header["version"] is None:
            return None
        return MadeBank(version=header["version"], width=header["width"], height=header["height"], data=data)

    async def aclose(self) -> None:
        """End the process; what it was at is CannotPrepare."""
        if self._ending is not None:
            await self._ending
        await self._end()

    async def _ask(self, header: Mapping[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        async with self._turn:
            if self._resting is not None:
                self._resting.cancel()
            try:
                async with asyncio.timeout(self._within_s):
                    answer, data = await self._exchange(await self._started(), header, body)
            except TimeoutError:
                raise await self._given_up(f"it took longer than {self._within_s:.0f} s") from None
            except (asyncio.IncompleteReadError, OSError):
                raise await self._given_up("its process ended") from None
            except BaseException:
                await asyncio.shield(self._end())  # what is still in its pipes would answer somebody else
                raise
            self._resting = asyncio.get_running_loop().call_later(self._idle_s, self._rest)
        if "error" in answer:
            raise CannotPrepare(f"the renderer {self.renderer}: {answer['error']}")
        return answer, data

    async def _given_up(self, why: str) -> CannotPrepare:
        if self._process is not None and not why.startswith("it took"):
            # Killing it at once would reap it, and lose the status that tells how it ended.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), DYING_S)
        status = await self._end()
        return CannotPrepare(f"the renderer {self.renderer}: {why} (exit status {status})")

    async def _exchange(
        self, process: asyncio.subprocess.Process, header: Mapping[str, Any], body: bytes
    ) -> tuple[dict[str, Any], bytes]:
        to_child, from_child = process.stdin, process.stdout
        assert to_child is not None  # noqa: S101 - made with pipes
        assert from_child is not None  # noqa: S101
        for frame in (json.dumps(header).encode(), body):
            to_child.write(LENGTH.pack(len(frame)) + frame)
        await to_child.drain()
        frames = []
        for _ in ("header", "body"):
            (size,) = LENGTH.unpack(await from_child.readexactly(LENGTH.size))
            frames.append(await from_child.readexactly(size))
        return json.loads(frames[0]), frames[1]

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", MODULE, *self._arguments),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=self._environment,
            )
        return self._process

    def _rest(self) -> None:
        """Nobody has asked for a while."""
        self._ending = asyncio.ensure_future(self._end())

    async def _end(self) -> int | None:
        if self._resting is not None:
            self._resting.cancel()
        process, self._process = self._process, None
        if process is None:
            return None
        if process.returncode is None:
            process.kill()
        return await process.wait()
