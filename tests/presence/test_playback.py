"""The clock of an avatar."""

import asyncio
import time
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from presence.pictures import Picture
from presence.playback import Playback, PlaybackClock
from presence.renderers.base import AvatarState
from presence.speech.conversion import SAMPLE_RATE, Sound
from support.steadiness import Froze, three_tries

FPS = 25


def test_a_clock_does_not_drift() -> None:
    """After an hour of frames the next one is due where arithmetic says, not where sleeps add up."""
    clock, now = PlaybackClock(FPS), 1000.0
    for _ in range(90_000):
        now += clock.wait_s(now) + 0.0007  # a loop that always wakes up late
        starts = clock.push(now)
    assert starts == pytest.approx(1000.0007 + 89_999 / FPS, abs=1e-6)
    assert clock.starved == 0


def test_the_queue_holds_one_to_two_frames() -> None:
    """A frame is pushed when 40 ms are left, so that 40 to 80 ms are queued."""
    clock, now = PlaybackClock(FPS), 0.0
    queued = []
    for _ in range(100):
        now += clock.wait_s(now)
        queued.append(clock.push(now) - now)
    assert max(queued[2:]) == pytest.approx(0.04, abs=1e-6)
    assert min(queued[2:]) == pytest.approx(0.04, abs=1e-6)


def test_a_queue_that_ran_dry_plays_on_from_the_next_push() -> None:
    """After a hiccup nothing is caught up: sound plays late, and the pictures with it."""
    clock = PlaybackClock(FPS)
    assert clock.push(5.0) == 5.0
    assert clock.push(5.0) == pytest.approx(5.04)
    assert clock.wait_s(5.5) == 0
    assert clock.push(5.5) == 5.5
    assert clock.push(5.5) == pytest.approx(5.54)
    assert clock.starved == 1


def test_an_emptied_queue_plays_the_next_push_at_once() -> None:
    """After the queue was emptied nothing is waited for, and that it is empty is no hiccup."""
    clock = PlaybackClock(FPS)
    clock.push(5.0)
    clock.push(5.0)
    clock.restart()
    assert clock.wait_s(5.01) == 0
    assert clock.push(5.01) == 5.01
    assert clock.starved == 0


class FakeSink:
    """Notes what it is given, and when."""

    def __init__(self) -> None:
        self.samples = 0
        self.cleared: list[float] = []
        self.pictures: list[tuple[float, int]] = []

    def clear_audio(self) -> None:
        """Note when."""
        self.cleared.append(time.monotonic())

    async def push_audio(self, samples: Sound) -> None:
        """Count."""
        assert samples.dtype == np.int16
        self.samples += len(samples)

    def push_video(self, picture: Picture) -> None:
        """Note the index that the renderer drew."""
        self.pictures.append((time.monotonic(), int(picture.i420[0, 0])))


class FakeRenderer:
    """Draws the frame index into the first pixel; some frames take long."""

    def __init__(self, slow: dict[int, float] | None = None) -> None:
        self.slow = slow or {}
        self.windows: list[int] = []
        self.states: list[AvatarState] = []

    def job(self, pcm: NDArray[np.float32], frame_index: int, state: AvatarState, out: NDArray[np.uint8]) -> object:
        """The index and where to draw it."""
        self.states.append(state)
        self.windows.append(len(pcm))
        return frame_index, out

    def reset(self) -> None:
        """Nothing to forget."""

    def render_batch(self, jobs: Sequence[tuple[int, NDArray[np.uint8]]]) -> None:
        """Draw, slowly where asked for."""
        for index, out in jobs:
            time.sleep(self.slow.get(index, 0))
            out[0, 0] = index


async def play(
    renderer: FakeRenderer, seconds: float, fps: int = FPS, av_offset_s: float = 0.0
) -> tuple[FakeSink, Playback]:
    """Play for a while."""
    sink = FakeSink()
    playback = Playback(sink=sink, renderer=renderer, track=renderer, size=(16, 16), fps=fps, av_offset_s=av_offset_s)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(playback.run(), seconds)
    return sink, playback


@three_tries
async def test_frames_appear_in_order_at_their_rate() -> None:
    """The first picture appears at once, each index once, 25 a second, and the sound is 40 to 80 ms ahead."""
    started = time.monotonic()
    renderer = FakeRenderer()
    sink, playback = await play(renderer, 1.0)
    indices = [index for _, index in sink.pictures]
    assert indices == sorted(set(indices))
    assert len(indices) <= 27
    assert set(renderer.states) == {AvatarState.IDLE}
    ahead_s = sink.samples / SAMPLE_RATE - len(indices) / FPS
    late = playback.clock.starved + playback.repeated + playback.skipped
    if sink.pictures[0][0] - started > 0.1 or len(indices) < 22 or not 0 <= ahead_s <= 0.12 or late > 3:
        raise Froze(f"{len(indices)} pictures, sound {ahead_s:.2f} s ahead, {late} were late")


async def test_a_rate_that_does_not_divide_the_samples_adds_up() -> None:
    """At 7 frames a second windows differ by a sample, and none is lost."""
    renderer = FakeRenderer()
    sink, _ = await play(renderer, 0.6, fps=7)
    assert set(renderer.windows) <= {6857, 6858}
    assert abs(sink.samples - SAMPLE_RATE * len(renderer.windows) // 7) <= 6858


async def test_a_late_frame_repeats_the_last_one() -> None:
    """While a frame takes 0.3 s to draw, the last is shown again, sound goes on, and the clock catches up."""
    sink, playback = await play(FakeRenderer({5: 0.3}), 1.2)
    indices = [index for _, index in sink.pictures]
    assert playback.repeated >= 1
    assert indices.count(4) == 2
    assert playback.skipped >= 3
    assert sink.samples / SAMPLE_RATE == pytest.approx(1.2, abs=0.2)
    last_at, last_index = sink.pictures[-1]
    assert last_at - sink.pictures[0][0] == pytest.approx(last_index / FPS, abs=0.1)


@pytest.mark.parametrize("offset_s", [-0.1, 0.12])
async def test_pictures_come_before_or_after_their_sound_as_told(offset_s: float) -> None:
    """With an offset the picture of a sound is shown that much after the sound plays, or before it does."""
    heard: dict[int, float] = {}

    class Feed:
        """Notes when each frame's sound plays."""

        def read(self, samples: int, plays_at: float) -> tuple[Sound, AvatarState]:
            """Silence."""
            heard[len(heard)] = plays_at
            return np.zeros(samples, np.int16), AvatarState.IDLE

    sink, renderer = FakeSink(), FakeRenderer()
    playback = Playback(sink=sink, renderer=renderer, track=renderer, size=(16, 16), fps=FPS, av_offset_s=offset_s)
    playback.feed = Feed()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(playback.run(), 0.8)
    late = [at - heard[index] for at, index in sink.pictures[5:]]
    assert np.median(late) == pytest.approx(offset_s, abs=0.015)


async def test_what_is_dropped_is_neither_played_nor_shown() -> None:
    """After a drop the sink is emptied, and the next picture is that of sound which is read afterwards, and at once."""
    sink, renderer = FakeSink(), FakeRenderer()
    playback = Playback(sink=sink, renderer=renderer, track=renderer, size=(16, 16), fps=FPS)
    playing = asyncio.create_task(playback.run())
    await asyncio.sleep(0.31)
    dropped_at, read = time.monotonic(), sink.samples * FPS // SAMPLE_RATE
    shown = len(sink.pictures)
    playback.drop_lead()
    await asyncio.sleep(0.2)
    playing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await playing
    at, index = sink.pictures[shown]
    assert index == read
    assert at - dropped_at < 0.03
    assert sink.cleared
    assert sink.cleared[0] - dropped_at < 0.01
    assert sink.samples / SAMPLE_RATE == pytest.approx(0.51 + 0.08, abs=0.1)


@three_tries
async def test_unwatched_pictures_come_more_rarely_and_the_sound_as_ever() -> None:
    """About 12 of 25 pictures are made, evenly; the sound loses nothing, and with a viewer all are made again."""
    sink, renderer = FakeSink(), FakeRenderer()
    playback = Playback(sink=sink, renderer=renderer, track=renderer, size=(16, 16), fps=FPS, idle_fps=12)
    playing = asyncio.create_task(playback.run())
    await asyncio.sleep(0.2)
    playback.watched = False
    alone, heard, rested = len(sink.pictures), sink.samples, playback.rested
    await asyncio.sleep(2.0)
    quiet = [index for _, index in sink.pictures[alone:]]
    rested = playback.rested - rested
    heard_s = (sink.samples - heard) / SAMPLE_RATE
    playback.watched = True
    again = len(sink.pictures)
    await asyncio.sleep(1.0)
    playing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await playing
    steps = np.diff(quiet)
    back = np.diff([index for _, index in sink.pictures[again + 1 :]])
    if not 22 <= len(quiet) <= 26 or abs(heard_s - 2) > 0.1 or playback.clock.starved or playback.skipped:
        raise Froze(f"{len(quiet)} pictures in 2 s, {heard_s:.2f} s of sound")
    assert rested in (25, 26, 27)
    assert set(steps) <= {2, 3}
    assert set(back) == {1}


async def test_another_track_goes_on_from_the_next_picture() -> None:
    """The first one's last picture is followed by the second one's with the next index."""
    first, second, sink = FakeRenderer(), FakeRenderer(), FakeSink()
    playback = Playback(sink=sink, renderer=first, track=first, size=(16, 16), fps=FPS)
    playing = asyncio.create_task(playback.run())
    await asyncio.sleep(0.3)
    playback.change_scene(second, second)
    await asyncio.sleep(0.3)
    playing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await playing
    assert len(first.windows) >= 1
    assert len(second.windows) >= 1
    assert sink.samples == pytest.approx((len(first.windows) + len(second.windows)) * 1920, abs=3 * 1920)


async def test_a_renderer_that_fails_ends_the_playback() -> None:
    """A broken renderer is an error, not a frozen picture."""

    class BrokenRenderer(FakeRenderer):
        def render_batch(self, jobs: Sequence[tuple[int, NDArray[np.uint8]]]) -> None:
            raise RuntimeError("cannot draw")

    broken = BrokenRenderer()
    playback = Playback(sink=FakeSink(), renderer=broken, track=broken, size=(16, 16), fps=FPS)
    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(playback.run(), 2)
    assert caught.group_contains(RuntimeError, match="cannot draw")
