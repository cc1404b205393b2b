"""The bench's ears and eyes: what counts as an open mouth, as drift, and as a round; and the floor's pictures."""

from collections.abc import Sequence

import numpy as np
import pytest

from bench.speech import GOALS, speech_row, values
from bench.talk.agent import Played
from bench.talk.drift import Evidence, findings, growth, judge, lateness, onsets_of_sound, paired
from bench.talk.mouth import SMALL, make_scale
from bench.talk.sounds import RATE, babble, beats, tone
from bench.talk.stage import Heard
from bench.talk.watcher import Block, Look

SECONDS = 120


def evidence(*, drift_s: float = 0.0, leak_mb: float = 0.0, wrong_s: float = 0.0) -> Evidence:
    """Two minutes of a beat a second, each seen 50 ms before it is heard, in a process of 160 MB."""
    blocks, looks = list[Block](), list[Look]()
    for second in range(SECONDS):
        apart = 0.05 + drift_s * second / SECONDS
        blocks += [Block(at=second + 0.01 * index, loud=index >= 50) for index in range(100)]
        looks += [Look(at=second + 0.04 * index, openness=float(0.5 - apart <= 0.04 * index)) for index in range(25)]
    played = [Played(at=10.0 * (n + 1), position_s=10 + wrong_s, interrupted=False) for n in range(SECONDS // 10)]
    memory = [(float(second), 160 + leak_mb * second / SECONDS) for second in range(0, SECONDS, 5)]
    return Evidence(began=0.0, segment_s=10, played=played, blocks=blocks, looks=looks, memory=memory)


def test_speech_that_stays_together_has_no_drift() -> None:
    """A picture that always comes 40 to 80 ms early is no drift, and all beats of both minutes count."""
    found = findings(evidence())
    assert judge(found) == []
    assert [minute.beats for minute in found.minutes] == [60, 60]
    assert -80 <= found.minutes[0].offset_ms <= -20
    assert found.offset_drift_ms == 0
    assert (found.position_error_ms, found.reports_late_ms, found.gaps) == (0, 0, 0)
    assert found.fps == pytest.approx(25, abs=0.05)
    assert found.minutes[1].sound_ms == pytest.approx(0, abs=1)


@pytest.mark.parametrize(
    ("changes", "word"),
    [({"drift_s": 0.2}, "apart"), ({"leak_mb": 20.0}, "grew"), ({"wrong_s": 0.05}, "position")],
)
def test_each_drift_has_its_sentence(changes: dict[str, float], word: str) -> None:
    """Sound and picture that part, memory that grows, positions that are wrong: each is found, and only it."""
    (sentence,) = judge(findings(evidence(**changes)))
    assert word in sentence


def test_an_onset_follows_a_pause() -> None:
    """A loud block in the midst of a beat begins nothing, nor does one after a hole of a few blocks."""
    blocks = [Block(at=at, loud=True) for at in (1.0, 1.01, 1.1, 1.5, 1.51)]
    assert onsets_of_sound(blocks) == [1.0, 1.5]
    assert paired([1.0, 1.5, 9.0], [1.45, 1.05]) == [(1.0, 1.05), (1.5, 1.45)]
    assert paired([1.0], []) == []


def test_holes_in_the_sound_add_up() -> None:
    """A hole of 0.3 s makes all that follows late; a beat that was not heard does not."""
    assert lateness([0.0, 1.0, 2.3, 3.3, 5.3, 6.4]) == pytest.approx([0, 0, 0.3, 0.3, 0.3, 0.4])


def test_memory_that_is_taken_at_the_start_is_no_growth() -> None:
    """A process has half a minute to get all that it needs."""
    assert growth([(float(at), min(at, 30) * 10.0) for at in range(0, 120, 5)]) == 0
    assert growth([(0.0, 1.0)]) == 0


def pictures(mouth: float, count: int = 5) -> list[np.ndarray[tuple[int, int], np.dtype[np.float32]]]:
    """Grey pictures with noise, and a mouth of another brightness."""
    dice = np.random.default_rng(1)
    made = []
    for _ in range(count):
        picture = (128 + dice.normal(0, 3, (SMALL[1], SMALL[0]))).astype(np.float32)
        picture[70:80, 70:90] -= mouth
        made.append(picture)
    return made


def test_a_mouth_is_what_moves_with_the_voice() -> None:
    """Openness is 0 at rest and 1 as wide as the tone opened it; what looks the same both times is refused."""
    scale = make_scale(pictures(0), pictures(60))
    assert scale.openness(pictures(0)[-1]) == pytest.approx(0, abs=0.05)
    assert scale.openness(pictures(30)[-1]) == pytest.approx(0.5, abs=0.05)
    with pytest.raises(ValueError, match="looks the same"):
        make_scale(pictures(0), pictures(0))
    with pytest.raises(ValueError, match="at rest the mouth is open"):
        make_scale([*pictures(0), *pictures(60, 1)], pictures(60))


def heard(value: float) -> Heard:
    """A round in which everything took the same."""
    return Heard(
        audible=value, mouth=value, silence=value, closed=value, finished=value, cut_error=value, whole_error=value
    )


@pytest.mark.parametrize("name", GOALS)
def test_each_row_is_read_off_the_rounds(name: str) -> None:
    """Ahead of the floor and below its figure a row is met; far behind it none is."""
    good: Sequence[Heard] = [heard(10.0), heard(12.0)]
    poor: Sequence[Heard] = [heard(1_000.0), heard(1_002.0)]
    assert values(name, good)[0] == 10
    assert speech_row(name, good, poor).met
    assert not speech_row(name, poor, good).met


def test_sounds_are_as_long_as_asked() -> None:
    """Tones and beats to the sample; babble is loud, has pauses, and is the same each time."""
    assert (len(tone(0.5)), len(beats(3)), len(babble(2.0))) == (RATE // 2, 3 * RATE, 2 * RATE)
    assert not beats(1)[: RATE // 2].any()
    loud = np.abs(babble(20.0).reshape(-1, RATE // 50)).max(axis=1)
    assert loud.max() > 8_000
    assert (loud == 0).any()
    assert (babble(2.0) == babble(2.0)).all()
