"""Speech of texts by espeak-ng, where the machine has it. A text is data on its input, never an argument."""

import asyncio
import os
import shutil
import struct
from contextlib import suppress
from dataclasses import dataclass

from domain.failures import FailureCode, Refused, Unavailable

PROGRAM = "espeak-ng"
AT_ONCE = 2
WAITS_S = 3.0
WITHIN_S = 5.0
LONGEST_S = 60
"""Of the speech; what is beyond is cut off."""
_ARGUMENTS = ("--stdin", "--stdout", "-b", "1", "-v", "en", "-s", "165")


@dataclass(frozen=True, kw_only=True)
class SpokenText:
    """Mono sound, 16 bits, little-endian."""

    pcm: bytes
    rate: int


class SpeechSynthesis:
    """Speaks texts, two at a time; SPEECH_UNAVAILABLE where espeak-ng is not installed."""

    def __init__(self, program: str | None = None) -> None:
        self._program = program or shutil.which(PROGRAM)
        self._turns = asyncio.Semaphore(AT_ONCE)

    @property
    def available(self) -> bool:
        """Is the program there?"""
        return self._program is not None

    async def say(self, text: str) -> SpokenText:
        """The text as sound; Unavailable if it takes too long, or too many want it."""
        if self._program is None:
            raise Refused(FailureCode.SPEECH_UNAVAILABLE, "this server cannot speak texts")
        try:
            async with asyncio.timeout(WAITS_S):
                await self._turns.acquire()
        except TimeoutError:
            raise Unavailable("speech: too many texts at once") from None
        try:
            return _read_wav(await self._run(self._program, text))
        finally:
            self._turns.release()

    async def _run(self, program: str, text: str) -> bytes:
        process = await asyncio.create_subprocess_exec(
            program,
            *_ARGUMENTS,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PATH": os.defpath},
        )
        try:
            async with asyncio.timeout(WITHIN_S):
                # Control characters mean nothing to a reader, and some mean something to the program.
                said, _ = await process.communicate("".join(c if c.isprintable() else " " for c in text).encode())
        except TimeoutError:
            raise Unavailable("speech: espeak-ng did not answer in time") from None
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        return said


def _read_wav(wav: bytes) -> SpokenText:
    """The samples of a WAV stream, whose header says a length that nobody knew when it was written."""
    start = wav.find(b"data")
    if not wav.startswith(b"RIFF") or start < 0:
        raise Unavailable("speech: espeak-ng wrote no sound")
    (rate,) = struct.unpack_from("<I", wav, wav.index(b"fmt ") + 12)
    pcm = wav[start + 8 :][: LONGEST_S * rate * 2]
    return SpokenText(pcm=pcm[: len(pcm) // 2 * 2], rate=rate)
