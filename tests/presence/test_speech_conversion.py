"""Bytes of any source as the sound that is played."""

import itertools
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from presence.speech.conversion import SAMPLE_RATE, Converter, SpeechFormat, read_format
from presence.speech.soxr import SoxrResampler
from support.speech_bench import tone


@pytest.mark.parametrize(
    ("attributes", "rate", "channels"),
    [
        ({"sample_rate": "24000", "num_channels": "2"}, 24_000, 2),
        ({"sample_rate": "24000"}, 24_000, 1),
        ({}, 16_000, 1),
        (None, 16_000, 1),
        ({"sample_rate": "fast", "num_channels": "0"}, 16_000, 1),
        ({"sample_rate": "-8000", "num_channels": "1e9"}, 16_000, 1),
        ({"sample_rate": "99999999999", "num_channels": "99"}, 16_000, 1),
        ({"sample_rate": "", "num_channels": "2.0"}, 16_000, 1),
    ],
)
def test_a_missing_or_absurd_format_is_the_usual_one(
    attributes: Mapping[str, str] | None, rate: int, channels: int
) -> None:
    """16 kHz and mono for each part that does not say something that can be."""
    assert read_format(attributes) == SpeechFormat(rate=rate, channels=channels)


@given(st.lists(st.integers(0, 999), max_size=30))
def test_chunks_may_be_cut_anywhere(cuts: list[int]) -> None:
    """Odd bytes and half frames at a chunk's edge change nothing."""
    left = np.arange(-125, 125, dtype=np.int16) * 4
    pcm = np.column_stack([left, left]).tobytes()
    edges = [0, *sorted(cuts), len(pcm)]
    converter = Converter(SpeechFormat(rate=SAMPLE_RATE, channels=2), SoxrResampler)
    pieces = [converter.push(pcm[start:end]) for start, end in itertools.pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate([*pieces, converter.flush()]), left)


def test_channels_are_mixed() -> None:
    """The mean of all, without overflow."""
    pcm = np.array([[32_000, 32_000], [-32_000, -32_000], [1_000, 3_000]], np.int16).tobytes()
    converter = Converter(SpeechFormat(rate=SAMPLE_RATE, channels=2), SoxrResampler)
    assert converter.push(pcm).tolist() == [32_000, -32_000, 2_000]


def test_half_a_sample_at_the_end_is_dropped() -> None:
    """A stream of an odd number of bytes loses the last one, and nothing else."""
    converter = Converter(SpeechFormat(rate=SAMPLE_RATE), SoxrResampler)
    assert converter.push(b"\x01\x00\x02").tolist() == [1]
    assert converter.flush().tolist() == []


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_rate_keeps_its_length_and_its_pitch(rate: int, channels: int) -> None:
    """Half a second at any rate is half a second at 48 kHz, of the same tone, as loud as it was."""
    samples = np.repeat(tone(0.5, rate)[:, None], channels, axis=1).tobytes()
    converter = Converter(SpeechFormat(rate=rate, channels=channels), SoxrResampler)
    pieces = [converter.push(samples[start : start + 1_000]) for start in range(0, len(samples), 1_000)]
    out = np.concatenate([*pieces, converter.flush()])
    assert len(out) / SAMPLE_RATE == pytest.approx(0.5, abs=0.002)
    middle = out[SAMPLE_RATE // 10 : 4 * SAMPLE_RATE // 10].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(middle))
    assert np.argmax(spectrum) * SAMPLE_RATE / len(middle) == pytest.approx(300, abs=4)
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(12_000 / np.sqrt(2), rel=0.02)


def test_a_resampler_holds_little_back() -> None:
    """Of 100 ms at least 60 ms can be played before more comes."""
    converter = Converter(SpeechFormat(rate=16_000), SoxrResampler)
    assert len(converter.push(tone(0.1, 16_000).tobytes())) >= 0.06 * SAMPLE_RATE
