"""One message of a control client, read piece by piece: its sound goes into a file, the rest is small JSON."""

import re
from dataclasses import dataclass
from typing import Any

import msgspec

from api.control.spool import NotBase64, Spool

SMALL = 64 * 1024
"""Characters of a message that are no sound."""
RATES = range(4_000, 384_001)
RIFF = b"RIFF"

_AUDIO_FOLLOWS = re.compile(r'(?<!\\)"audio"\s*:\s*$')
_TAIL = 64
_END_OR_ESCAPE = re.compile(r'["\\]')


class BadMessage(Exception):
    """The message cannot be followed; its text is what the client is told."""


@dataclass(frozen=True, kw_only=True)
class Init:
    """`session.init`: who is there."""

    session_id: str
    token: str


@dataclass(frozen=True, kw_only=True)
class Speak:
    """`agent.speak`: one utterance."""

    sample_rate: int
    pcm: Spool

    @property
    def samples_at(self) -> int:
        """Samples it has at 16 kHz, which is what a confirmation counts."""
        return round(self.pcm.length // 2 * 16_000 / self.sample_rate)


@dataclass(frozen=True, kw_only=True)
class Interrupt:
    """`agent.interrupt`: fall silent."""


Message = Init | Speak | Interrupt


class MessageReader:
    """Reads one message. What it says is known at its end; only then is an error raised, so that the rest is read.

    `with_sound=False` takes none: nobody who has not shown a token may fill the disk.
    """

    def __init__(self, *, with_sound: bool = True) -> None:
        self._with_sound = with_sound
        self._small: list[str] = []
        self._tail = ""
        self._length = 0
        self._depth = 0
        self._mode = self._outside
        self._escaped = False
        self._carried = ""
        self._pcm: Spool | None = None
        self._wrong = ""

    def feed(self, text: str) -> None:
        """Take a piece in."""
        at = 0
        while at < len(text) and not self._wrong:
            at = self._mode(text, at)

    def finish(self) -> Message:
        """What the message says; BadMessage if that is nothing that we know."""
        try:
            return self._message()
        except BadMessage:
            self.discard()
            raise

    def discard(self) -> None:
        """Forget the message."""
        if self._pcm is not None:
            self._pcm.close()

    def _message(self) -> Message:
        if self._wrong:
            raise BadMessage(self._wrong)
        try:
            said = msgspec.json.decode("".join(self._small), type=dict[str, Any])
        except msgspec.MsgspecError:
            raise BadMessage("Invalid JSON") from None
        match said.get("type"):
            case "session.init":
                return _init(said)
            case "agent.speak":
                return self._speak(said)
            case "agent.interrupt":
                return Interrupt()
        raise BadMessage("Unknown message type")

    def _speak(self, said: dict[str, Any]) -> Speak:
        rate = said.get("sample_rate", 16_000)
        if not isinstance(rate, int) or rate not in RATES:
            raise BadMessage(f"Invalid sample rate: a whole number from {RATES[0]} to {RATES[-1]}")
        if self._pcm is None:
            raise BadMessage("Invalid audio data: `audio` is base64 of raw 16-bit mono PCM")
        try:
            self._pcm.finish()
        except NotBase64:
            raise BadMessage("Invalid audio data: not base64") from None
        if self._pcm.length < 2:  # noqa: PLR2004 - one sample
            raise BadMessage("Invalid audio data: it is empty")
        if self._pcm.read(0, len(RIFF)) == RIFF:
            raise BadMessage("Invalid audio data: raw PCM is wanted, not a WAV file")
        return Speak(sample_rate=rate, pcm=self._pcm)

    def _keep(self, text: str) -> None:
        self._length += len(text)
        if self._length > SMALL:
            self._wrong = "Invalid JSON: too long"
        else:
            self._small.append(text)
            self._tail = (self._tail + text)[-_TAIL:]

    def _outside(self, text: str, at: int) -> int:
        """Up to the next string's begin."""
        begin = text.find('"', at)
        end = len(text) if begin < 0 else begin
        between = text[at:end]
        self._depth += between.count("{") + between.count("[") - between.count("}") - between.count("]")
        self._keep(between)
        if begin < 0:
            return end
        is_sound = (
            self._with_sound and self._depth == 1 and self._pcm is None and bool(_AUDIO_FOLLOWS.search(self._tail))
        )
        self._keep('"')
        if is_sound:
            self._pcm = Spool()
        self._mode = self._sound if is_sound else self._string
        return begin + 1

    def _string(self, text: str, at: int) -> int:
        """Up to the end of a short string."""
        if self._escaped:
            self._escaped = False
            self._keep(text[at])
            return at + 1
        found = _END_OR_ESCAPE.search(text, at)
        if found is None:
            self._keep(text[at:])
            return len(text)
        self._keep(text[at : found.end()])
        if found[0] == "\\":
            self._escaped = True
        else:
            self._mode = self._outside
        return found.end()

    def _sound(self, text: str, at: int) -> int:
        """Up to the end of the sound: base64 has no quotes, so the first one ends it."""
        end = text.find('"', at)
        piece = self._carried + (text[at:] if end < 0 else text[at:end])
        self._carried = ""
        if end < 0 and piece.endswith("\\"):
            self._carried, piece = "\\", piece[:-1]
        if self._pcm is not None:
            try:
                self._pcm.feed(piece)
            except NotBase64:
                self._wrong = "Invalid audio data: not base64"
        if end < 0:
            return len(text)
        self._keep('"')
        self._mode = self._outside
        return end + 1


def _init(said: dict[str, Any]) -> Init:
    """The older form puts everything into `config`, and calls the token `access_token`."""
    config = said.get("config")
    source = config if isinstance(config, dict) else said
    session_id = source.get("session_id")
    token = source.get("session_token", source.get("access_token"))
    if not isinstance(session_id, str) or not isinstance(token, str):
        raise BadMessage("Invalid session credentials")
    return Init(session_id=session_id, token=token)
