"""How sound becomes a mouth's pose."""

import numpy as np
import pytest
from numpy.typing import NDArray

from presence.renderers.warp.hearing import Hearing
from presence.renderers.warp.mouth import MouthPose
from support.talking_faces import voice

FRAME = 1920
SILENCE = np.zeros(FRAME, np.float32)


def listen(hearing: Hearing, sound: NDArray[np.float32]) -> list[MouthPose]:
    """The pose of each frame of a sound."""
    return [hearing.hear(sound[at : at + FRAME], 0.04) for at in range(0, sound.size - FRAME + 1, FRAME)]


def hiss(seconds: float) -> NDArray[np.float32]:
    """An "s": noise above four kilohertz."""
    noise = np.fft.rfft(np.random.default_rng(1).standard_normal(round(seconds * 48_000)))
    noise[: round(4000 * seconds)] = 0
    wave = np.fft.irfft(noise)
    return (0.1 * wave / np.abs(wave).max()).astype(np.float32)


def test_a_voice_opens_the_mouth_at_once() -> None:
    """Within two frames the mouth is most of the way open."""
    poses = listen(Hearing(), voice(0.4))
    assert poses[0].openness > 0.4
    assert poses[1].openness > 0.85 * poses[-1].openness > 0.4


@pytest.mark.parametrize("formant", [300.0, 700.0, 2300.0])
def test_silence_closes_the_mouth_in_four_frames(formant: float) -> None:
    """160 ms after the last sound the mouth is shut, not nearly shut, and its width is forgotten."""
    hearing = Hearing()
    listen(hearing, voice(0.6, formant=formant))
    poses = [hearing.hear(SILENCE, 0.04) for _ in range(4)]
    assert [pose.openness for pose in poses] == sorted((pose.openness for pose in poses), reverse=True)
    assert poses[-1] == MouthPose()


def test_a_skipped_frame_counts_as_time() -> None:
    """One silent frame that stands for four closes as far as four do."""
    hearing = Hearing()
    listen(hearing, voice(0.6))
    assert hearing.hear(SILENCE, 0.16) == MouthPose()


def test_open_vowels_are_wider_open_than_closed_ones_and_hisses() -> None:
    """An "ah" opens the jaw; an "oo" and an "s" do not."""
    ah, oo, ess = (listen(Hearing(), sound)[-1] for sound in (voice(0.4), voice(0.4, formant=250), hiss(0.4)))
    assert ah.openness > 1.3 * oo.openness
    assert ah.openness > 1.3 * ess.openness


def test_vowels_have_widths() -> None:
    """An "oo" is round, an "ee" is spread."""
    oo, ee = (listen(Hearing(), voice(0.4, formant=formant))[-1] for formant in (250.0, 2600.0))
    assert oo.width < -0.3
    assert ee.width > 0.3


def test_a_quiet_speaker_opens_as_far_as_a_loud_one() -> None:
    """Loudness counts against what was heard of late, down to a whisper; hum below it is silence."""
    loud, quiet = (listen(Hearing(), gain * voice(2.0))[-1].openness for gain in (1.0, 0.25))
    assert quiet > 0.6 * loud
    assert listen(Hearing(), np.float32(0.005) * voice(0.4))[-1] == MouthPose()


@pytest.mark.parametrize("samples", [0, 1, 7, 1600, 4000])
def test_any_window_is_heard(samples: int) -> None:
    """Frame rates have windows of their own; an empty one is silence."""
    pose = Hearing().hear(voice(1.0)[:samples], 0.04)
    assert 0 <= pose.openness <= 1
    assert -1 <= pose.width <= 1
