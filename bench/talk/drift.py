"""What minutes of speech show: do sound and picture, positions and memory stay where they were? Only sums."""

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.table import Table

from bench.report import percentile
from bench.talk.agent import Played
from bench.talk.mouth import OPEN
from bench.talk.watcher import Block, Look

QUIET_S = 0.2
"""An onset is what follows such a pause."""
TOGETHER_S = 0.4
"""An onset of sound and one of the picture belong together if they are no further apart."""
GAP_S = 0.12
WARM_S = 30.0
"""What a process needs until it has all its memory."""
MOST_DRIFT_MS = 40.0
"""One frame."""
MOST_POSITION_ERROR_MS = 20.0
MOST_GROWTH_MB = 8.0


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What was seen and heard of a stretch of speech."""

    began: float
    segment_s: float
    played: Sequence[Played]
    blocks: Sequence[Block]
    looks: Sequence[Look]
    memory: Sequence[tuple[float, float]]
    """When, and megabytes of the media process."""


@dataclass(frozen=True, kw_only=True)
class Minute:
    """One minute of it."""

    beats: int
    offset_ms: float
    """How much later than its sound the picture came, by the median."""
    offset_low_ms: float
    offset_high_ms: float
    sound_ms: float
    """How much later sound came than at the beginning, by the median: what its holes added up to."""
    fps: float
    gaps: int
    """Waits of more than 120 ms for a picture."""
    memory_mb: float


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The whole stretch."""

    minutes: Sequence[Minute]
    seconds: float
    segments: int
    offset_drift_ms: float
    """From the first third of the beats to the last one."""
    position_error_ms: float
    """The worst of all segments."""
    reports_late_ms: float
    """How much later than at the beginning the last segment's end was told, against the sum of the positions."""
    interrupted: int
    fps: float
    longest_gap_ms: float
    gaps: int
    growth_mb: float

    def table(self) -> Table:
        """A line a minute, and the sums below."""
        caption = (
            f"{self.seconds:.0f} s, {self.segments} segments: offset {self.offset_drift_ms:+.1f} ms, worst position "
            f"{self.position_error_ms:.1f} ms, last report {self.reports_late_ms:+.0f} ms, {self.fps:.2f} pictures a "
            f"second, longest gap {self.longest_gap_ms:.0f} ms ({self.gaps} over 120), memory {self.growth_mb:+.1f} MB"
        )
        shown = Table(title="Speech without a pause", title_justify="left", caption=caption, caption_justify="left")
        for name in ("minute", "beats", "picture after sound", "5-95 %", "sound later by", "fps", "gaps", "memory"):
            shown.add_column(name, justify="right")
        for number, one in enumerate(self.minutes, 1):
            shown.add_row(
                str(number),
                str(one.beats),
                f"{one.offset_ms:+.0f} ms",
                f"{one.offset_low_ms:+.0f} to {one.offset_high_ms:+.0f}",
                f"{one.sound_ms:+.0f} ms",
                f"{one.fps:.2f}",
                str(one.gaps),
                f"{one.memory_mb:.1f} MB",
            )
        return shown


def judge(found: Finding) -> list[str]:
    """What drifted, a sentence each."""
    said = {
        f"sound and picture moved apart by {found.offset_drift_ms:.1f} ms": abs(found.offset_drift_ms) > MOST_DRIFT_MS,
        f"a position was wrong by {found.position_error_ms:.1f} ms": found.position_error_ms > MOST_POSITION_ERROR_MS,
        f"{found.interrupted} segments were reported as interrupted": found.interrupted > 0,
        f"the media process grew by {found.growth_mb:.1f} MB": found.growth_mb > MOST_GROWTH_MB,
    }
    return [sentence for sentence, wrong in said.items() if wrong]


def findings(seen: Evidence) -> Finding:
    """The sums. ValueError where nothing was heard or seen."""
    pairs = paired(onsets_of_sound(seen.blocks), onsets_of_picture(seen.looks))
    if not pairs:
        raise ValueError("no beat was both heard and seen")
    offsets = [picture - sound for sound, picture in pairs]
    third = max(len(offsets) // 3, 1)
    gaps = [later.at - earlier.at for earlier, later in itertools.pairwise(seen.looks)]
    first, last = seen.played[0], seen.played[-1]
    told_s = last.at - first.at - sum(one.position_s for one in seen.played[1:])
    return Finding(
        minutes=[minute_of(seen, pairs, number) for number in range(int((pairs[-1][0] - seen.began) // 60) + 1)],
        seconds=round(sum(one.position_s for one in seen.played), 3),
        segments=len(seen.played),
        offset_drift_ms=round((statistics.median(offsets[-third:]) - statistics.median(offsets[:third])) * 1000, 1),
        position_error_ms=round(max(abs(one.position_s - seen.segment_s) for one in seen.played) * 1000, 1),
        reports_late_ms=round(told_s * 1000, 1),
        interrupted=sum(one.interrupted for one in seen.played),
        fps=round((len(seen.looks) - 1) / (seen.looks[-1].at - seen.looks[0].at), 3),
        longest_gap_ms=round(max(gaps) * 1000),
        gaps=sum(gap > GAP_S for gap in gaps),
        growth_mb=round(growth(seen.memory), 2),
    )


def minute_of(seen: Evidence, pairs: Sequence[tuple[float, float]], number: int) -> Minute:
    """One minute; the last may be short."""
    since, until = seen.began + 60 * number, seen.began + 60 * (number + 1)
    mine = [pair for pair in pairs if since <= pair[0] < until] or [pairs[-1]]
    offsets = [(picture - sound) * 1000 for sound, picture in mine]
    looks = [look.at for look in seen.looks if since <= look.at < until]
    late = lateness([sound for sound, _ in pairs if sound <= mine[-1][0]])[-len(mine) :]
    return Minute(
        beats=len(mine),
        offset_ms=round(statistics.median(offsets), 1),
        offset_low_ms=round(percentile(offsets, 5), 1),
        offset_high_ms=round(percentile(offsets, 95), 1),
        sound_ms=round(statistics.median(late) * 1000, 1),
        fps=round((len(looks) - 1) / (looks[-1] - looks[0]), 2),
        gaps=sum(later - earlier > GAP_S for earlier, later in itertools.pairwise(looks)),
        memory_mb=round(statistics.median(size for at, size in seen.memory if since <= at < until), 1),
    )


def lateness(sounds: Sequence[float]) -> list[float]:
    """How much later than a beat a second each came: what holes in the sound, each below half a beat, add up to."""
    steps = (later - earlier for earlier, later in itertools.pairwise(sounds))
    return list(itertools.accumulate((step - round(step) for step in steps), initial=0.0))


def onsets_of_sound(blocks: Sequence[Block]) -> list[float]:
    """When a beat began to be heard."""
    return _onsets([(block.at, block.loud) for block in blocks])


def onsets_of_picture(looks: Sequence[Look]) -> list[float]:
    """When the mouth began to open."""
    return _onsets([(look.at, look.openness >= OPEN) for look in looks])


def _onsets(states: Sequence[tuple[float, bool]]) -> list[float]:
    found, on_at = [], float("-inf")
    for at, on in states:
        if on and at - on_at > QUIET_S:
            found.append(at)
        if on:
            on_at = at
    return found


def paired(sounds: Sequence[float], pictures: Sequence[float]) -> list[tuple[float, float]]:
    """Each onset of sound with the nearest of the picture; those that have none are left out."""
    if not pictures:
        return []
    times = np.array(pictures)
    nearest = [(sound, float(times[np.abs(times - sound).argmin()])) for sound in sounds]
    return [pair for pair in nearest if abs(pair[1] - pair[0]) <= TOGETHER_S]


def growth(memory: Sequence[tuple[float, float]]) -> float:
    """Megabytes from the first third of the samples to the last, once the process has warmed up; 0 before."""
    warm = [size for at, size in memory if at - memory[0][0] >= WARM_S]
    third = len(warm) // 3
    return statistics.median(warm[-third:]) - statistics.median(warm[:third]) if third else 0.0
