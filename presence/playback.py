"""The clock of an avatar: sound first, each picture at the moment its samples play; knows no room and no renderer."""

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from presence.pictures import Picture
from presence.renderers.base import AvatarState, Renderer, Track
from presence.speech.conversion import SAMPLE_RATE, Sound

LEAD_S: Final = 0.04
"""A frame's sound is pushed when less than this is queued: the queue then holds one to two frames at 25 fps."""
MOST_AHEAD_S: Final = 0.2
"""How far pictures may be ahead of their sound at most: so much sound waits then."""


class MediaSink(Protocol):
    """Where sound and pictures go."""

    async def push_audio(self, samples: Sound) -> None:
        """Queue mono samples at 48 kHz."""

    def clear_audio(self) -> None:
        """Forget every sample that is queued and not played."""

    def push_video(self, picture: Picture) -> None:
        """Show a picture now. Its memory is free again when this returns."""


class AudioFeed(Protocol):
    """Where the avatar's sound comes from."""

    def read(self, samples: int, plays_at: float) -> tuple[Sound, AvatarState]:
        """The samples that play at a time of the event loop, mono at 48 kHz, exactly that many, and what is done."""


class Silence:
    """Nobody speaks."""

    def read(self, samples: int, plays_at: float) -> tuple[Sound, AvatarState]:  # noqa: ARG002
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

    def restart(self) -> None:
        """The queue was emptied: the next push plays at once."""
        self._origin = None
        self._pushed = 0

    def _end(self, now: float) -> float:
        return now if self._origin is None else self._origin + self._pushed / self._fps


@dataclass(frozen=True, kw_only=True)
class _Slot:
    index: int
    shows_at: float
    sound: Sound
    state: AvatarState


class Playback:
    """Plays one avatar into one sink until it is cancelled. Rendering runs in a thread of its own.

    Pictures are shown `av_offset_s` after their sound, or before it where that is negative.
    """

    def __init__(
        self,
        *,
        sink: MediaSink,
        renderer: Renderer,
        track: Track,
        size: tuple[int, int],
        fps: int,
        av_offset_s: float = 0.0,
        idle_fps: int = 0,
    ) -> None:
        """`idle_fps` is how many pictures a second are made while nobody watches; 0 is as many as ever."""
        self._sink = sink
        self._scene = (renderer, track)
        self._fps = fps
        self._idle_fps = min(idle_fps or fps, fps)
        self._period = 1 / fps
        self._offset_s = max(av_offset_s, -MOST_AHEAD_S)
        self._shown, self._next = Picture(*size), Picture(*size)
        self._slots: asyncio.Queue[_Slot] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._dropped = asyncio.Event()
        self.clock = PlaybackClock(fps, lead_s=LEAD_S + max(-self._offset_s, 0.0))
        self.feed: AudioFeed = Silence()
        self.watched = True
        """Set to False while nobody sees the picture. The sound goes on as it is."""
        self.first_shown_at: float | None = None
        """When the first picture was shown, by the event loop's clock."""
        self.shown = 0
        """Pictures that were shown, repeated ones included."""
        self.repeated = 0
        """Pictures that came too late, so that the one before was shown again."""
        self.skipped = 0
        """Frames that nobody saw, because their time was over before they were rendered."""
        self.rested = 0
        """Frames that were not made, because nobody watched."""

    async def run(self) -> None:
        """Play. Raises what a renderer or a sink raises."""
        with ThreadPoolExecutor(1, thread_name_prefix="render") as threads:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._play_audio())
                tasks.create_task(self._play_video(threads))

    def change_scene(self, renderer: Renderer, track: Track) -> None:
        """Go on with another renderer's track from the next frame on."""
        self._scene = (renderer, track)

    def drop_lead(self) -> None:
        """Throw away what was read and has not been played or shown yet, and go on at once with what is read next."""
        self._sink.clear_audio()
        self.clock.restart()
        while not self._slots.empty():
            self._slots.get_nowait()
        self._dropped.set()
        self._dropped = asyncio.Event()

    async def _play_audio(self) -> None:
        index = 0
        while True:
            dropped = self._dropped
            samples = SAMPLE_RATE * (index + 1) // self._fps - SAMPLE_RATE * index // self._fps
            plays_at = self.clock.push(self._loop.time())
            sound, state = self.feed.read(samples, plays_at)
            self._slots.put_nowait(_Slot(index=index, shows_at=plays_at + self._offset_s, sound=sound, state=state))
            await self._sink.push_audio(sound)
            if dropped.is_set():
                self._sink.clear_audio()  # what was under way just now may have come after the first one
            index += 1
            await self._pause(self.clock.wait_s(self._loop.time()), dropped)

    async def _play_video(self, threads: ThreadPoolExecutor) -> None:
        while True:
            slot = await self._next_slot()
            dropped = self._dropped
            rendering = self._loop.run_in_executor(threads, self._render, slot)
            await self._pause(slot.shows_at - self._loop.time(), dropped)
            # Half a frame late is still in time with the sound, and better than the last one again.
            late_s = slot.shows_at + self._period / 2 - self._loop.time()
            done, _ = await asyncio.wait({rendering}, timeout=max(late_s, 0.0) if self.shown else None)
            if not done and not dropped.is_set():
                self._show(self._shown)
                self.repeated += 1
            await rendering
            if dropped.is_set():
                continue
            self._shown, self._next = self._next, self._shown
            if done:
                self._show(self._shown)

    async def _next_slot(self) -> _Slot:
        slot = await self._slots.get()
        while not self._slots.empty() and slot.shows_at + self._period < self._loop.time():
            slot = self._slots.get_nowait()
            self.skipped += 1
        while self._rests(slot):
            self.rested += 1
            slot = await self._slots.get()
        return slot

    def _rests(self, slot: _Slot) -> bool:
        """Is the frame one of those that are left out while nobody watches? They are spread evenly."""
        number = slot.index * self._idle_fps // self._fps
        return not self.watched and number == (slot.index - 1) * self._idle_fps // self._fps

    async def _pause(self, seconds: float, unless: asyncio.Event) -> None:
        """Wait, but no longer than until the event."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0.0)):
                await unless.wait()

    def _render(self, slot: _Slot) -> None:
        pcm = slot.sound.astype(np.float32) / np.float32(32768)
        renderer, track = self._scene
        renderer.render_batch([track.job(pcm, slot.index, slot.state, self._next.i420)])

    def _show(self, picture: Picture) -> None:
        self._sink.push_video(picture)
        if self.first_shown_at is None:
            self.first_shown_at = self._loop.time()
        self.shown += 1
