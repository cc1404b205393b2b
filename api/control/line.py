"""One client's control socket, and the avatar's that answers it: utterances wait here until the avatar takes them."""

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from api.control.messages import BadMessage, Interrupt, MessageReader, Speak
from api.control.socket import Gone, Socket
from domain.relay import FromAvatar, ToAvatar

log = logging.getLogger(__name__)

WAITING_AT_MOST = 256 * 2**20
"""Bytes of sound that wait on disk for one avatar."""


@dataclass(kw_only=True)
class Utterance:
    """What is to be said, and how far the avatar has it."""

    number: int
    speak: Speak
    sent: int = 0
    announced: bool = False


class Avatar:
    """The avatar's end of a line: one media process of one generation."""

    def __init__(self, socket: Socket, generation: int) -> None:
        self.socket = socket
        self.generation = generation
        self.credit = 0


class Line:
    """Reads a client's messages and passes them to whichever avatar is attached; confirms when it has them."""

    def __init__(self, session_id: str, client: Socket) -> None:
        self.session_id = session_id
        self._client = client
        self._numbers = itertools.count(1)
        self._waiting: deque[Utterance] = deque()
        self._unconfirmed: dict[int, int] = {}
        self._interrupts: deque[int] = deque()
        self._avatar: Avatar | None = None
        self._changed = asyncio.Event()
        self.closed_by_client = False
        """Has the client said goodbye?"""

    @property
    def attached(self) -> bool:
        """Is an avatar there?"""
        return self._avatar is not None

    async def read_client(self) -> None:
        """Follow the client until it is Gone."""
        try:
            while True:
                await self._read_message()
        except Gone as gone:
            self.closed_by_client = gone.clean
            raise

    async def aclose(self) -> None:
        """The client is gone: forget what waits, and let the avatar know."""
        self._forget()
        if self._avatar is not None:
            if self.closed_by_client:
                await self._avatar.socket.say(ToAvatar.GOODBYE)
            await self._avatar.socket.close(1000)

    @asynccontextmanager
    async def avatar_there(self, avatar: Avatar) -> AsyncIterator[None]:
        """An avatar is attached; the one of an older generation, or an older connection of the same, is let go."""
        before, self._avatar = self._avatar, avatar
        if before is not None:
            await before.socket.close(1000)
        for waiting in self._waiting:
            waiting.announced = False
        try:
            yield
        finally:
            if self._avatar is avatar:
                self._avatar = None

    def is_overtaken(self, generation: int) -> bool:
        """Is a newer generation attached?"""
        return self._avatar is not None and self._avatar.generation > generation

    async def read_avatar(self, avatar: Avatar) -> None:
        """Follow what the avatar says until it is Gone."""
        while True:
            said = await avatar.socket.small_json()
            number = said.get("id", 0)
            match said.get("type"):
                case FromAvatar.CREDIT:
                    avatar.credit += int(said["bytes"])
                    self._changed.set()
                case FromAvatar.QUEUED if number in self._unconfirmed:
                    await self._confirm("agent.speak.confirmed", audio_samples=self._unconfirmed.pop(number))
                case FromAvatar.INTERRUPTED:
                    await self._confirm("agent.interrupt.confirmed")

    async def feed_avatar(self, avatar: Avatar) -> None:
        """Send interruptions at once, and sound as far as the avatar's credit goes."""
        while True:
            self._changed.clear()
            while self._interrupts:
                await avatar.socket.say(ToAvatar.INTERRUPT, id=self._interrupts.popleft())
            if not await self._send_some(avatar):
                await self._changed.wait()

    async def _send_some(self, avatar: Avatar) -> bool:
        """Send the next piece; False where nothing waits, or there is no credit."""
        if not self._waiting:
            return False
        first = self._waiting[0]
        pcm = first.speak.pcm
        if not first.announced:
            first.announced = True
            await avatar.socket.say(ToAvatar.SPEAK, id=first.number, sample_rate=first.speak.sample_rate)
        elif first.sent >= pcm.length:
            self._waiting.popleft()
            pcm.close()
            await avatar.socket.say(ToAvatar.SPOKEN, id=first.number)
        elif avatar.credit > 0:
            piece = pcm.read(first.sent)
            first.sent += len(piece)
            avatar.credit -= len(piece)
            await avatar.socket.sound(piece)
        else:
            return False
        return True

    async def _read_message(self) -> None:
        reader = MessageReader()
        try:
            async for piece in self._client.message():
                reader.feed(piece.text or "")
        except BaseException:
            reader.discard()
            raise
        try:
            message = reader.finish()
        except BadMessage as wrong:
            await self._client.say("error", error=str(wrong))
            return
        if isinstance(message, Speak):
            await self._take(message)
        elif isinstance(message, Interrupt):
            self._forget()
            self._interrupts.append(next(self._numbers))
        else:
            await self._client.say("error", error="The session is initialised already")
        self._changed.set()

    async def _take(self, speak: Speak) -> None:
        if sum(one.speak.pcm.length for one in self._waiting) + speak.pcm.length > WAITING_AT_MOST:
            speak.pcm.close()
            await self._client.say("error", error="Too much speech waits to be played")
            return
        utterance = Utterance(number=next(self._numbers), speak=speak)
        self._unconfirmed[utterance.number] = speak.samples_at
        self._waiting.append(utterance)

    def _forget(self) -> None:
        """Drop what waits; what was cut off in the middle needs no end, an interruption ends it."""
        while self._waiting:
            dropped = self._waiting.popleft()
            dropped.speak.pcm.close()
            self._unconfirmed.pop(dropped.number, None)

    async def _confirm(self, type_: str, **fields: Any) -> None:
        try:
            await self._client.say(type_, **fields)
        except Exception as error:  # noqa: BLE001 - whatever a server raises for a client that is gone: its own task sees it
            log.info("a confirmation did not reach its client: %s", type(error).__name__)
