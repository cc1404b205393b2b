"""The clock of an avatar: sound first, each picture at the moment its samples play; knows no room and no renderer."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from presence.pictures import Picture
from presence.renderers.base import AvatarState, Renderer, Track

SAMPLE_RATE: Final = 48_000
LEAD_S: Final = 0.04
"""A frame's sound is pushed when less than this is queued: the queue then holds one to two frames at 25 fps."""

Sound = NDArray[np.int16]


class MediaSink(Protocol):
    """Where sound and pictures go."""

    async def push_audio(self, samples: Sound) -> None:
        """Queue mono samples at 48 kHz."""

    def push_video(self, picture: Picture) -> None:
        """Show a picture now. Its memory is free again when this returns."""


class AudioFeed(Protocol):
    """Where the avatar's sound comes from."""

    def read(self, samples: int) -> tuple[Sound, AvatarState]:
        """The next samples, mono at 48 kHz and exactly that many, and what the avatar does meanwhile."""


class Silence:
    """Nobody speaks."""

    def read(self, samples: int) -> tuple[Sound, AvatarState]:
        """Zeros."""
        return np.zeros(samples, np.int16), AvatarState.IDLE


class PlaybackClock:
    """Which frame plays when. Times come from outside, in seconds; they derive from an index, so nothing adds up.

    The queue that is fed plays on by itself. Where it ran dry, playing goes on from the moment of the next push.
    """

    def __init__(self, fps: int, *, lead_s: float = LEAD_S) -> None:
        self._fps = fps
        self._lead_s = lead_s
        self._origin: float | None = None
        self._pushed = 0
        self.starved = 0
        """How often the queue ran dry."""

    def wait_s(self, now: float) -> float:
        """How long until the next frame's sound should be pushed."""
        return max(self._end(now) - self._lead_s - now, 0.0)

    def push(self, now: float) -> float:
        """Note a frame as pushed; returns when it starts to play."""
        end = self._end(now)
        if self._origin is None or end < now:
            self.starved += self._origin is not None
            self._origin, self._pushed, end = now, 0, now
        self._pushed += 1
        return end

    def _end(self, now: float) -> float:
        return now if self._origin is None else self._origin + self._pushed / self._fps


@dataclass(frozen=True, kw_only=True)
class _Slot:
    index: int
    plays_at: float
    sound: Sound
    state: AvatarState


class Playback:
    """Plays one avatar into one sink until it is cancelled. Rendering runs in a thread of its own."""

    def __init__(self, *, sink: MediaSink, renderer: Renderer, track: Track, size: tuple[int, int], fps: int) -> None:
        self._sink = sink
        self._renderer = renderer
        self._track = track
        self._fps = fps
        self._period = 1 / fps
        self._shown, self._next = Picture(*size), Picture(*size)
        self._slots: asyncio.Queue[_Slot] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self.clock = PlaybackClock(fps)
        self.feed: AudioFeed = Silence()
        self.shown = 0
        """Pictures that were shown, repeated ones included."""
        self.repeated = 0
        """Pictures that came too late, so that the one before was shown again."""
        self.skipped = 0
        """Frames that nobody saw, because their time was over before they were rendered."""

    async def run(self) -> None:
        """Play. Raises what a renderer or a sink raises."""
        with ThreadPoolExecutor(1, thread_name_prefix="render") as threads:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._play_audio())
                tasks.create_task(self._play_video(threads))

    async def _play_audio(self) -> None:
        index = 0
        while True:
            samples = SAMPLE_RATE * (index + 1) // self._fps - SAMPLE_RATE * index // self._fps
            sound, state = self.feed.read(samples)
            plays_at = self.clock.push(self._loop.time())
            self._slots.put_nowait(_Slot(index=index, plays_at=plays_at, sound=sound, state=state))
            await self._sink.push_audio(sound)
            index += 1
            await asyncio.sleep(self.clock.wait_s(self._loop.time()))

    async def _play_video(self, threads: ThreadPoolExecutor) -> None:
        while True:
            slot = await self._next_slot()
            rendering = self._loop.run_in_executor(threads, self._render, slot)
            await self._sleep_until(slot.plays_at)
            if not rendering.done() and self.shown:
                self._show(self._shown)
                self.repeated += 1
                await rendering
                self._shown, self._next = self._next, self._shown
            else:
                await rendering
                self._shown, self._next = self._next, self._shown
                self._show(self._shown)

    async def _next_slot(self) -> _Slot:
        slot = await self._slots.get()
        while not self._slots.empty() and slot.plays_at + self._period < self._loop.time():
            slot = self._slots.get_nowait()
            self.skipped += 1
        return slot

    async def _sleep_until(self, moment: float) -> None:
        await asyncio.sleep(max(moment - self._loop.time(), 0.0))

    def _render(self, slot: _Slot) -> None:
        pcm = slot.sound.astype(np.float32) / np.float32(32768)
        self._renderer.render_batch([self._track.job(pcm, slot.index, slot.state, self._next.i420)])

    def _show(self, picture: Picture) -> None:
        self._sink.push_video(picture)
        self.shown += 1
