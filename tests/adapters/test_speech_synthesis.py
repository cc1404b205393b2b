"""Texts as sound by espeak-ng; bounded, whatever the text."""

import asyncio
import shutil
import stat
import time
from pathlib import Path

import numpy as np
import pytest

from adapters.speech_synthesis import SpeechSynthesis
from domain.failures import FailureCode, Refused, Unavailable
from support.real_parts import missing


@pytest.fixture
def speech() -> SpeechSynthesis:
    """The real program; skipped where there is none, failed with CI=true."""
    if shutil.which("espeak-ng") is None:
        missing("no espeak-ng on PATH")
    return SpeechSynthesis()


def program(folder: Path, text: str) -> SpeechSynthesis:
    """A program that stands in for a sick one."""
    path = folder / "espeak-ng"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    return SpeechSynthesis(str(path))


async def test_a_text_becomes_sound(speech: SpeechSynthesis) -> None:
    """A sentence lasts some seconds, is loud, and longer texts last longer."""
    short, long = await asyncio.gather(speech.say("Hello."), speech.say("Hello there, nice to see you again. " * 3))
    sound = np.frombuffer(short.pcm, np.int16)
    assert 8_000 <= short.rate <= 48_000
    assert 0.2 < len(sound) / short.rate < 3
    assert np.abs(sound.astype(np.int32)).max() > 3_000
    assert len(long.pcm) > 3 * len(short.pcm)


async def test_a_text_is_never_an_argument(speech: SpeechSynthesis, tmp_path: Path) -> None:
    """What looks like an option, or like a shell's words, is read aloud."""
    target = tmp_path / "written"
    for text in (
        f"-w {target}",
        f"--path={tmp_path}",
        f"$(touch {target})",
        "\x00\x1b]0;x\x07 hello",
        "<speak>&amp;</speak>",
    ):
        assert (await speech.say(text)).pcm
    assert not target.exists()


async def test_a_long_text_is_cut_off(speech: SpeechSynthesis) -> None:
    """A minute of sound at most."""
    spoken = await speech.say("one hundred and twenty-seven thousand " * 200)
    assert len(spoken.pcm) == 60 * spoken.rate * 2


async def test_a_program_that_hangs_or_fails_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unavailable within the bound; nobody waits for ever behind it either."""
    monkeypatch.setattr("adapters.speech_synthesis.WITHIN_S", 0.3)
    monkeypatch.setattr("adapters.speech_synthesis.WAITS_S", 0.1)
    hanging = program(tmp_path, "exec sleep 30")
    began = time.monotonic()
    answers = await asyncio.gather(*(hanging.say("hello") for _ in range(4)), return_exceptions=True)
    assert time.monotonic() - began < 20
    assert all(isinstance(one, Unavailable) for one in answers)
    for answer in ("exit 1", "echo no sound"):
        with pytest.raises(Unavailable):
            await program(tmp_path, answer).say("hello")


async def test_without_the_program_texts_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a code of its own, and the page is told beforehand."""
    monkeypatch.setattr("adapters.speech_synthesis.shutil.which", lambda _: None)
    speech = SpeechSynthesis()
    assert not speech.available
    with pytest.raises(Refused) as caught:
        await speech.say("hello")
    assert caught.value.code == FailureCode.SPEECH_UNAVAILABLE
