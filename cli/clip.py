"""Sound and video files for `greenroom render`: speech in, an MP4 out; it renders nothing itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import av
import numpy as np
from numpy.typing import NDArray

RATE = 48_000
LONGEST_S = 3600
"""A clip holds all its sound in memory: an hour is 700 MB."""

VIDEO_CODEC: Final = "libx264"
AUDIO_CODEC: Final = "aac"
QUALITY = {"crf": "18", "preset": "veryfast"}
LIMITED, BT601 = 1, 6
"""As FFmpeg numbers them: without them players take a picture of this size for BT.709."""

Sound = NDArray[np.int16]
Pixels = NDArray[np.uint8]


class ClipError(Exception):
    """A file cannot be read or written; the message is a sentence for people."""


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn FFmpeg's errors about a file into a ClipError."""
    try:
        yield
    except (av.FFmpegError, OSError) as error:
        raise ClipError(f"{path}: {error.strerror or error}") from error


def read_speech(path: Path) -> Sound:
    """A sound file's first track, of any rate and channels, as mono samples at 48 kHz. Raises ClipError."""
    with told(path), av.open(path) as container:
        if not container.streams.audio:
            raise ClipError(f"{path}: there is no sound in this file")
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        parts: list[Sound] = []
        held = 0
        for frame in container.decode(audio=0):
            for out in resampler.resample(frame):
                parts.append(out.to_ndarray()[0])
                held += out.samples
            if held > LONGEST_S * RATE:
                raise ClipError(f"{path}: longer than {LONGEST_S // 60} minutes")
        parts += [out.to_ndarray()[0] for out in resampler.resample(None)]
    if not parts:
        raise ClipError(f"{path}: there is no sound in this file")
    return np.concatenate(parts)


class ClipWriter:
    """Writes one MP4: H.264 and AAC. Use it as a context manager.

    The file appears when it is whole; on an error what was there before stays.
    """

    def __init__(self, path: Path, *, width: int, height: int, fps: int) -> None:
        """Raises ClipError where the file cannot be made."""
        self._path, self._part = path, path.with_name(f"{path.name}.part")
        with told(path):
            self._part.touch()  # FFmpeg opens it with the first picture only, which may be minutes of work later
            self._container = av.open(self._part, "w", format="mp4", options={"movflags": "+faststart"})
        self._video = self._container.add_stream(VIDEO_CODEC, rate=fps, options=QUALITY)
        self._video.width, self._video.height, self._video.pix_fmt = width, height, "yuv420p"
        context = self._video.codec_context
        context.color_range, context.colorspace = LIMITED, BT601
        context.color_primaries = context.color_trc = BT601
        self._audio = self._container.add_stream(AUDIO_CODEC, rate=RATE, layout="mono", bit_rate=128_000)
        self._frames = self._samples = 0

    def __enter__(self) -> Self:
        return self

    def write(self, picture: Pixels, sound: Sound) -> None:
        """Add an I420 picture (height * 3/2, width) and the samples that play while it is shown."""
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts, frame.time_base = self._frames, Fraction(1, int(self._video.codec_context.framerate))
        heard = av.AudioFrame.from_ndarray(sound[None], format="s16", layout="mono")
        heard.sample_rate, heard.pts, heard.time_base = RATE, self._samples, Fraction(1, RATE)
        self._frames += 1
        self._samples += sound.size
        with told(self._path):
            self._container.mux(self._video.encode(frame))
            self._container.mux(self._audio.encode(heard))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        del error, traceback
        try:
            with told(self._path):
                if kind is None:
                    self._container.mux(self._video.encode(None))
                    self._container.mux(self._audio.encode(None))
                self._container.close()
                if kind is None:
                    self._part.replace(self._path)
        finally:
            self._part.unlink(missing_ok=True)
