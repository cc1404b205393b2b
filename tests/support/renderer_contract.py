"""What every renderer must do: a suite that a renderer's test module inherits."""

import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from presence.pictures import Picture
from presence.renderers.base import AvatarState, Renderer, Track

WIDTH, HEIGHT = 640, 480
KEYPOINTS = np.array([[255, 126], [309, 128], [279, 161], [252, 174], [307, 177]], np.float32)
"""Of the `portrait_rgb` fixture."""
WINDOW = 1920


def sound(index: int) -> NDArray[np.float32]:
    """One frame's window of a tone that comes and goes."""
    times = (np.arange(WINDOW) + index * WINDOW) / 48_000
    return (0.3 * np.sin(2 * np.pi * 220 * times) * (index // 10 % 2)).astype(np.float32)


def difference(one: Picture, two: Picture) -> float:
    """Mean square distance of two pictures' luma around the mouth."""
    left, right = KEYPOINTS[3:, 0].astype(int)
    top = int(KEYPOINTS[3:, 1].min())
    parts = [picture.i420[top - 20 : top + 50, left:right].astype(float) for picture in (one, two)]
    return float(np.square(parts[0] - parts[1]).mean())


class RendererContract:
    """Inherit, and give a `renderer` fixture."""

    @pytest.fixture
    def assets(self, renderer: Renderer, portrait_rgb: NDArray[np.uint8], tmp_path: Path) -> Any:
        """What the renderer loads after preparing a portrait."""
        renderer.prepare(portrait_rgb, KEYPOINTS, tmp_path)
        return renderer.load(tmp_path)

    def play(self, renderer: Renderer, track: Track, count: int) -> list[bytes]:
        """The frames of a track from index 0."""
        picture = Picture(WIDTH, HEIGHT)
        frames = []
        for index in range(count):
            state = AvatarState.SPEAKING if index // 10 % 2 else AvatarState.IDLE
            renderer.render_batch([track.job(sound(index), index, state, picture.i420)])
            frames.append(bytes(picture.data))
        return frames

    def test_preparing_is_deterministic(
        self, renderer: Renderer, portrait_rgb: NDArray[np.uint8], tmp_path: Path
    ) -> None:
        """Preparing the same portrait twice writes the same bytes."""
        for folder in (tmp_path / "one", tmp_path / "two"):
            folder.mkdir()
            renderer.prepare(portrait_rgb, KEYPOINTS, folder)
        one, two = ({f.name: f.read_bytes() for f in sorted((tmp_path / n).iterdir())} for n in ("one", "two"))
        assert one
        assert one == two

    def test_a_frame_fills_the_whole_picture(self, renderer: Renderer, assets: Any) -> None:
        """No pixel keeps what was there before."""
        track = renderer.open(assets, 1)
        outcomes = []
        for fill in (0, 255):
            picture = Picture(WIDTH, HEIGHT)
            picture.i420[:] = fill
            track.reset()
            renderer.render_batch([track.job(sound(0), 0, AvatarState.IDLE, picture.i420)])
            outcomes.append(bytes(picture.data))
        assert outcomes[0] == outcomes[1]

    def test_luma_and_chroma_stay_in_limited_range(self, renderer: Renderer, assets: Any) -> None:
        """Frames are BT.601 in limited range, as encoders expect."""
        frame = np.frombuffer(self.play(renderer, renderer.open(assets, 1), 1)[0], np.uint8)
        luma, chroma = frame[: WIDTH * HEIGHT], frame[WIDTH * HEIGHT :]
        assert luma.min() >= 16
        assert luma.max() <= 235
        assert chroma.min() >= 16
        assert chroma.max() <= 240

    def test_a_seed_decides_everything(self, renderer: Renderer, assets: Any) -> None:
        """Two tracks of one seed show the same frames."""
        one = self.play(renderer, renderer.open(assets, 7), 30)
        two = self.play(renderer, renderer.open(assets, 7), 30)
        assert one == two

    def test_reset_begins_anew(self, renderer: Renderer, assets: Any) -> None:
        """After a reset the same jobs give the same frames."""
        track = renderer.open(assets, 3)
        first = self.play(renderer, track, 30)
        track.reset()
        assert self.play(renderer, track, 30) == first

    def test_a_batch_serves_many_tracks(self, renderer: Renderer, assets: Any) -> None:
        """Jobs of several tracks in one batch give what each gives alone."""
        alone = [self.play(renderer, renderer.open(assets, seed), 1)[0] for seed in (1, 2)]
        pictures = [Picture(WIDTH, HEIGHT), Picture(WIDTH, HEIGHT)]
        tracks = [renderer.open(assets, seed) for seed in (1, 2)]
        renderer.render_batch(
            [t.job(sound(0), 0, AvatarState.IDLE, p.i420) for t, p in zip(tracks, pictures, strict=True)]
        )
        assert [bytes(picture.data) for picture in pictures] == alone

    def test_silence_closes_the_mouth(self, renderer: Renderer, assets: Any) -> None:
        """160 ms after the last sound nothing is left of it but the head's place: the mouth is as if none had been."""
        tracks, pictures = [renderer.open(assets, 5) for _ in range(2)], [Picture(WIDTH, HEIGHT) for _ in range(2)]
        for index in range(29):
            for track, picture, loud in zip(tracks, pictures, (1, 0), strict=True):
                pcm = sound(index + 10) if index < 10 else sound(0)  # ten loud frames, then nothing
                renderer.render_batch([track.job(loud * pcm, index, AvatarState.SPEAKING, picture.i420)])
            if index == 9:
                heard = difference(*pictures)
            if index == 13:
                closed = difference(*pictures)
        assert closed <= 0.25 * heard
        assert difference(*pictures) <= 0.1 * heard

    def test_a_wrong_size_is_refused(self, renderer: Renderer, assets: Any) -> None:
        """A picture of another size than the portrait's is a ValueError, not a crash."""
        track = renderer.open(assets, 1)
        with pytest.raises(ValueError, match="shape"):
            track.job(sound(0), 0, AvatarState.IDLE, Picture(WIDTH * 2, HEIGHT).i420)

    def test_two_thousand_frames_leave_no_memory_behind(self, renderer: Renderer, assets: Any) -> None:
        """A session of a minute and more does not grow."""
        track, picture = renderer.open(assets, 1), Picture(WIDTH, HEIGHT)
        silence = sound(0)

        def play(start: int, count: int) -> None:
            for index in range(start, start + count):
                renderer.render_batch([track.job(silence, index, AvatarState.IDLE, picture.i420)])

        play(0, 200)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        play(200, 2_000)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 * 1024
