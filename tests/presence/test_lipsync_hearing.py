"""What a mel-to-mouth model hears of a track's sound."""

import numpy as np
import pytest
from numpy.typing import NDArray

from presence.renderers.lipsync.hearing import LAG_S, REACH, Downsampler, Hearing, log_mel, mel_bands


def tone(hertz: float, samples: int, *, rate: int = 48_000, size: float = 0.5) -> NDArray[np.float32]:
    """A sine."""
    return (size * np.sin(2 * np.pi * hertz * np.arange(samples) / rate)).astype(np.float32)


def middles() -> NDArray[np.float64]:
    """The frequency at which each band's triangle is balanced."""
    weights = mel_bands().astype(np.float64)
    return (weights @ (np.arange(401) * 20.0)) / weights.sum(axis=1)


def test_bands_lie_between_55_and_7600_hertz() -> None:
    """Eighty triangles, evenly apart below 1 kHz and by a constant ratio above, with nothing outside."""
    weights, frequencies = mel_bands(), np.arange(401) * 20
    assert weights.shape == (80, 401)
    assert not weights[:, (frequencies <= 55) | (frequencies >= 7600)].any()
    high = middles()[35:]
    assert np.allclose(high[1:] / high[:-1], high[-1] / high[-2], rtol=0.01)
    low = middles()[:15]
    assert np.allclose(np.diff(low), 40, atol=15)


def test_bands_have_the_same_area() -> None:
    """A wide band of hisses weighs no more than a narrow one: areas over hertz are 1, as far as 20 Hz steps show."""
    assert np.allclose(mel_bands()[30:].sum(axis=1) * 20, 1, atol=0.05)


def test_silence_is_the_least() -> None:
    """No sound is -4 in each band and step."""
    window = log_mel(np.zeros(REACH + 1, np.float32))
    assert window.shape == (80, 16)
    assert (window == -4).all()


@pytest.mark.parametrize("hertz", [200, 1000, 4000])
def test_a_tone_is_loudest_in_its_band(hertz: float) -> None:
    """The loudest band is the one at the tone's frequency, in each step alike."""
    window = log_mel(tone(hertz, REACH + 1, rate=16_000))
    assert set(window.argmax(axis=0)) <= set(np.argsort(np.abs(middles() - hertz))[:2])
    assert np.ptp(window.max(axis=0)) < 0.05


@pytest.mark.parametrize("hertz", [200, 1000, 4000])
def test_a_tone_has_the_level_that_the_formula_gives(hertz: int) -> None:
    """A sine on one of the transform's frequencies: half its size times the window's sum, through one band's weight."""
    sound = tone(hertz, REACH + 1, rate=16_000, size=0.1)
    emphasis = abs(1 - 0.97 * np.exp(-2j * np.pi * hertz / 16_000))
    sizes, middle = np.zeros(401), hertz // 20
    sizes[middle - 1 : middle + 2] = np.array([0.5, 1, 0.5]) * 0.1 / 2 * 400 * emphasis  # Hann's window spreads
    decibels = 20 * np.log10(np.maximum(mel_bands() @ sizes, 1e-5)) - 20
    band = int(decibels.argmax())
    assert log_mel(sound)[band] == pytest.approx(8 * (decibels[band] + 100) / 100 - 4, abs=0.01)


def test_ten_times_the_sound_is_a_fifth_of_the_scale_more() -> None:
    """20 dB are 1.6 of the 8 from -4 to 4, and what is beyond is cut off."""
    quiet, loud = (log_mel(tone(1000, REACH + 1, rate=16_000, size=size)) for size in (0.005, 0.05))
    assert loud.max() - quiet.max() == pytest.approx(1.6, abs=0.01)
    assert log_mel(tone(1000, REACH + 1, rate=16_000, size=1e6)).max() == 4


def test_steps_are_200_samples_apart() -> None:
    """Sound that comes 600 samples later is heard three steps later."""
    click = np.zeros(REACH + 1 + 600, np.float32)
    click[2400] = 1
    early, late = log_mel(click[600:]), log_mel(click[: REACH + 1])
    assert np.allclose(early[:, :13], late[:, 3:], atol=1e-5)
    assert not np.allclose(early, late, atol=0.1)


@pytest.mark.parametrize(("hertz", "least", "most"), [(300, 0.99, 1.01), (6500, 0.99, 1.01), (9000, 0, 1e-4)])
def test_lower_sounds_pass_the_downsampler_and_higher_ones_do_not_fold(hertz: float, least: float, most: float) -> None:
    """What 16 kHz can hold stays as it is; what it cannot is gone."""
    out = Downsampler().push(tone(hertz, 24_000, size=1))
    assert least <= np.abs(out[200:]).max() <= most


def test_pieces_of_any_size_give_the_same_samples() -> None:
    """The downsampler's pieces leave no seams, whatever they cut."""
    sound = np.random.default_rng(1).standard_normal(6000).astype(np.float32)
    downsampler = Downsampler()
    pieces = [downsampler.push(part) for part in np.split(sound, [0, 1, 3, 1000, 1001, 5000])]
    assert np.allclose(np.concatenate(pieces), Downsampler().push(sound), atol=1e-5)


def test_a_track_hears_what_a_window_of_the_whole_sound_would_give() -> None:
    """Frame by frame the window is that of the last 0.24 s."""
    sound = np.random.default_rng(2).standard_normal(19_200).astype(np.float32) * np.float32(0.1)
    hearing = Hearing()
    for index, pcm in enumerate(np.split(sound, 10)):
        mel, _ = hearing.hear(pcm, index)
    assert mel is not None
    assert np.allclose(mel, log_mel(Downsampler().push(sound)[-REACH - 1 :]), atol=1e-4)


def test_the_lag_is_where_a_click_is_in_the_middle_of_what_is_trained() -> None:
    """A click at the moment that a picture fits lies 40 ms after the first transform's middle."""
    hearing, sound = Hearing(), np.zeros(19_200, np.float32)
    fits = 9 * 0.04 - LAG_S
    sound[round(fits * 48_000)] = 1
    for index, pcm in enumerate(np.split(sound, 10)):
        mel, _ = hearing.hear(pcm, index)
    assert mel is not None
    loudness = (10 ** (mel / 0.8)).sum(axis=0)  # power: 1.6 are 20 dB
    assert np.average(np.arange(16), weights=loudness) == pytest.approx(0.04 / 0.0125, abs=0.1)


def test_the_moved_mouth_comes_and_goes() -> None:
    """It is fully there after 80 ms of sound, held for 80 ms after it, and away after 200 ms, with nothing to ask."""
    hearing = Hearing()
    shares = [hearing.hear(tone(300, 1920) * (2 <= index < 5), index) for index in range(12)]
    assert [round(share, 3) for _, share in shares] == [0, 0, 0.5, 1, 1, 1, 1, 0.667, 0.333, 0, 0, 0]
    assert [mel is None for mel, _ in shares] == [share == 0 for _, share in shares]


def test_sound_from_before_a_hole_is_forgotten() -> None:
    """After skipped frames nothing is left of what was heard long before."""
    hearing = Hearing()
    hearing.hear(tone(300, 1920), 0)
    hearing.hear(tone(300, 1920), 1)
    mel, _ = hearing.hear(tone(3000, 1920), 20)
    fresh = Hearing().hear(tone(3000, 1920), 20)[0]
    assert mel is not None
    assert fresh is not None
    assert np.array_equal(mel, fresh)
