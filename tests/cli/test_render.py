"""`greenroom render` as an operator uses it: a real picture, real sound files, clips that are decoded again."""

import json
import sys
import wave
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from cli.clip import ClipError, ClipWriter, read_speech
from cli.main import main
from support.pictures import astronaut, no_face
from support.talking_faces import voice


def render(*arguments: object) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, ["render", *map(str, arguments)])


def write_wav(
    path: Path, samples: NDArray[np.float32], *, rate: int = 48_000, channels: int = 1, bits: int = 16
) -> Path:
    """A WAV of the same sound on every channel, slowed down or sped up to `rate`."""
    whole = np.repeat(samples[:, None], channels, axis=1) * (2 ** (bits - 1) - 1)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(bits // 8)
        file.setframerate(rate)
        file.writeframes(whole.astype(f"<i{bits // 8}").tobytes())
    return path


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A command that has ended, and its files."""

    result: Result
    folder: Path
    clip: Path


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, detector_path: Path) -> Ran:
    """A clip of 0.8 s of speech at 44.1 kHz in stereo, and nothing else written."""
    del detector_path
    folder = tmp_path_factory.mktemp("render")
    (folder / "portrait").write_bytes(astronaut())
    times = np.arange(round(0.8 * 44_100)) / 44_100
    tone = (0.3 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    speech = write_wav(folder / "speech.wav", tone, rate=44_100, channels=2)
    clip = folder / "clip.mp4"
    result = render("--portrait", folder / "portrait", "--speech", speech, "-o", clip, "--ratio", "3:4", "--json")
    return Ran(result=result, folder=folder, clip=clip)


def test_a_clip_has_the_frames_and_the_sound(ran: Ran) -> None:
    """It is an MP4 of the portrait's size that lasts as long as the speech and the closing mouth."""
    assert ran.result.exit_code == 0, ran.result.output
    with av.open(ran.clip) as clip:
        (video,), (audio,) = clip.streams.video, clip.streams.audio
        assert (video.width, video.height, video.average_rate, video.codec_context.pix_fmt) == (
            960,
            1280,
            25,
            "yuv420p",
        )
        assert (video.codec_context.color_range, video.codec_context.colorspace) == (1, 6)
        assert (audio.rate, audio.channels) == (48_000, 1)
        frames = [frame.to_ndarray() for frame in clip.decode(video=0)]
    assert len(frames) == 35
    heard = read_speech(ran.clip)
    assert heard.size == pytest.approx(1.4 * 48_000, abs=2048)
    spectrum = np.abs(np.fft.rfft(heard[4800:33_600].astype(float)))
    assert np.argmax(spectrum) * 48_000 / 28_800 == pytest.approx(440, abs=4)
    assert np.abs(heard[-4800:].astype(int)).max() < 100
    moved = [np.abs(frame.astype(int) - frames[0]).max() for frame in frames[5:15]]
    assert max(moved) > 60


def test_json_says_what_was_made(ran: Ran) -> None:
    """One line: file, size, frames, and how natural the portrait's mouth will look."""
    told = json.loads(ran.result.stdout)
    assert (told["clip"], told["width"], told["height"], told["fps"]) == (str(ran.clip), 960, 1280, 25)
    assert (told["frames"], told["seconds"]) == (35, 1.4)
    assert 0.5 < told["quality"] <= 1
    assert told["frame_ms"] > 0
    assert sorted(path.name for path in ran.folder.iterdir()) == ["clip.mp4", "portrait", "speech.wav"]


def test_a_picture_without_a_face_is_refused(tmp_path: Path, detector_path: Path) -> None:
    """Exit code 1, a sentence with the reason and what helps, and no clip."""
    (tmp_path / "cup.png").write_bytes(no_face())
    speech = write_wav(tmp_path / "speech.wav", voice(0.1))
    result = render("--portrait", tmp_path / "cup.png", "--speech", speech, "-o", tmp_path / "clip.mp4")
    assert result.exit_code == 1
    assert "No face was found" in result.stderr
    assert not (tmp_path / "clip.mp4").exists()


@pytest.mark.parametrize("content", [b"", b"no sound at all, but text", astronaut()], ids=["empty", "text", "picture"])
def test_what_is_no_sound_is_told(tmp_path: Path, content: bytes) -> None:
    """Exit code 2 and a sentence that names the file, before the portrait is looked at."""
    (tmp_path / "portrait.png").write_bytes(astronaut())
    (tmp_path / "speech.wav").write_bytes(content)
    result = render(
        "--portrait", tmp_path / "portrait.png", "--speech", tmp_path / "speech.wav", "-o", tmp_path / "clip.mp4"
    )
    assert result.exit_code == 2
    assert result.stderr.startswith(f"greenroom: {tmp_path / 'speech.wav'}: ")
    assert result.stderr.count("\n") == 1


def test_a_missing_encoder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package that encodes, a sentence says which one is missing."""
    for name in ("cli.clip", "cli.rendering"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "portrait.png").write_bytes(astronaut())
    speech = write_wav(tmp_path / "speech.wav", voice(0.1))
    result = render("--portrait", tmp_path / "portrait.png", "--speech", speech, "-o", tmp_path / "clip.mp4")
    assert result.exit_code == 2
    assert "pip install av" in result.stderr


@pytest.mark.parametrize(
    ("rate", "channels", "bits"), [(8_000, 1, 16), (16_000, 2, 16), (22_050, 1, 32), (44_100, 2, 32), (48_000, 6, 16)]
)
def test_sound_of_any_shape_is_read(tmp_path: Path, rate: int, channels: int, bits: int) -> None:
    """It comes out at 48 kHz, mono, as long and about as loud as it was."""
    times = np.arange(rate) / rate
    tone = (0.3 * np.sin(2 * np.pi * 300 * times)).astype(np.float32)
    heard = read_speech(write_wav(tmp_path / "tone.wav", tone, rate=rate, channels=channels, bits=bits))
    assert heard.dtype == np.int16
    assert heard.size == pytest.approx(48_000, abs=100)
    assert np.sqrt(np.mean(np.square(heard / 32768.0))) == pytest.approx(0.3 / np.sqrt(2), rel=0.35)


def test_a_clip_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    """An error while frames are written keeps the former file and no half of the new one; a bad folder is told."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"the former clip")
    writer = ClipWriter(path, width=64, height=48, fps=25)
    with pytest.raises(ValueError, match="shape"), writer:
        writer.write(np.zeros((73, 64), np.uint8), np.zeros(1920, np.int16))
    assert [one.read_bytes() for one in tmp_path.iterdir()] == [b"the former clip"]
    with pytest.raises(ClipError, match="nowhere"):
        ClipWriter(tmp_path / "nowhere" / "clip.mp4", width=64, height=48, fps=25)


def test_a_clip_never_replaces_its_sources(tmp_path: Path) -> None:
    """An output that is the portrait is refused before anything is read."""
    (tmp_path / "portrait.png").write_bytes(astronaut())
    speech = write_wav(tmp_path / "speech.wav", voice(0.1))
    result = render("--portrait", tmp_path / "portrait.png", "--speech", speech, "-o", tmp_path / "portrait.png")
    assert result.exit_code == 2
    assert (tmp_path / "portrait.png").read_bytes() == astronaut()
