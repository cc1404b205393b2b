"""The built-in renderer: a portrait that talks."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from presence.pictures import Picture
from presence.renderers.base import AvatarState
from presence.renderers.warp import WarpRenderer
from presence.renderers.warp.bank import FIT, LID_FILES, PORTRAIT, build_bank
from presence.renderers.warp.canvas import planes_of
from support.renderer_contract import KEYPOINTS, RendererContract
from support.talking_faces import DRAWN_POINTS, SIZE, drawn, smiling, voice

SILENCE = np.zeros(1920, np.float32)


class TestWarpRenderer(RendererContract):
    """The 2D warp keeps the contract of all renderers."""

    @pytest.fixture
    def renderer(self) -> WarpRenderer:
        """The renderer under test."""
        return WarpRenderer()


def load(folder: Path, image: NDArray[np.uint8], points: NDArray[np.float32]) -> Any:
    """A portrait's assets."""
    WarpRenderer().prepare(image, points, folder)
    return WarpRenderer().load(folder)


def frame(track: Any, pcm: NDArray[np.float32], index: int, state: AvatarState = AvatarState.SPEAKING) -> Picture:
    """One frame of a track."""
    picture = Picture(*SIZE)
    WarpRenderer().render_batch([track.job(pcm, index, state, picture.i420)])
    return picture


def darkness(picture: Picture) -> int:
    """How many pixels of a drawn face's mouth are dark."""
    return int((planes_of(picture.i420)[0][505:565, 585:695] < 75).sum())


def test_speech_opens_the_mouth_and_its_end_closes_it(tmp_path: Path) -> None:
    """The first frame of a voice shows an open mouth; the fifth after it shows a closed one."""
    track, sound = WarpRenderer().open(load(tmp_path, drawn(), DRAWN_POINTS), 1), voice(0.4)
    shut = darkness(frame(track, SILENCE, 0))
    opened = [darkness(frame(track, sound[i * 1920 : (i + 1) * 1920], 1 + i)) for i in range(10)]
    closing = [darkness(frame(track, SILENCE, 11 + i, AvatarState.IDLE)) for i in range(4)]
    assert min(opened) > shut + 150
    assert closing[-1] <= shut + 40


def test_frames_may_skip(tmp_path: Path) -> None:
    """A track that is shown every fifth frame moves on as far as one that is shown each of them."""
    assets = load(tmp_path, drawn(), DRAWN_POINTS)
    every, fifth = WarpRenderer().open(assets, 1), WarpRenderer().open(assets, 1)
    for index in range(1, 41):
        whole = every.job(SILENCE, index, AvatarState.IDLE, Picture(*SIZE).i420)
        if index % 5 == 0:
            skipping = fifth.job(SILENCE, index, AvatarState.IDLE, Picture(*SIZE).i420)
    assert skipping.pose.head.across == pytest.approx(whole.pose.head.across, abs=0.003)
    assert skipping.pose.head.down == pytest.approx(whole.pose.head.down, abs=0.003)


def test_other_frame_rates_keep_their_time(tmp_path: Path) -> None:
    """A frame lasts as long as its sound: a second at 12 frames ends where a second at 25 does."""
    assets = load(tmp_path, drawn(), DRAWN_POINTS)
    heads = []
    for fps in (12, 25):
        track, pcm = WarpRenderer().open(assets, 1), np.zeros(48_000 // fps, np.float32)
        jobs = [track.job(pcm, index, AvatarState.IDLE, Picture(*SIZE).i420) for index in range(fps)]
        heads.append(jobs[-1].pose.head)
    assert heads[0].across == pytest.approx(heads[1].across, abs=0.003)


def test_the_picture_beyond_the_head_never_moves(tmp_path: Path) -> None:
    """Corners and border of each frame are the portrait's, bit by bit."""
    image, points = smiling()
    assets = load(tmp_path, image, points)
    track, sound = WarpRenderer().open(assets, 2), voice(2.0)
    portrait = planes_of(assets.bank.portrait)
    for index in range(0, 50, 7):
        for plane, still in zip(planes_of(frame(track, sound[:1920], index).i420), portrait, strict=True):
            for rim in (np.s_[:2], np.s_[-2:], np.s_[:, :2], np.s_[:, -2:], np.s_[-40:, :40]):
                assert np.array_equal(plane[rim], still[rim])


def test_an_untrusted_mouth_moves_less(tmp_path: Path) -> None:
    """On a turned head the same voice opens the mouth by about a third as much."""
    turned = DRAWN_POINTS.copy()
    turned[2, 0] += 40
    poses = []
    for name, points in (("frontal", DRAWN_POINTS), ("turned", turned)):
        (tmp_path / name).mkdir()
        assets = load(tmp_path / name, drawn(), points)
        track = WarpRenderer().open(assets, 1)
        poses.append(track.job(voice(0.04), 0, AvatarState.SPEAKING, Picture(*SIZE).i420).mouth.openness)
    assert 0.2 * poses[0] < poses[1] < 0.5 * poses[0]


@pytest.mark.parametrize("shift", [(-560, -380), (560, -380), (-560, 400), (560, 400)])
def test_a_face_at_the_edge_is_drawn_as_far_as_it_shows(tmp_path: Path, shift: tuple[int, int]) -> None:
    """Keypoints near a corner give a picture and no error."""
    image = np.roll(drawn(), shift[::-1], axis=(0, 1))
    points = DRAWN_POINTS + np.array(shift, np.float32)
    track = WarpRenderer().open(load(tmp_path, image, points), 1)
    for index in range(60):
        frame(track, voice(0.04), index)


@pytest.mark.parametrize("wrong", [-1.0, 1300.0, float("nan")])
def test_keypoints_beyond_the_picture_are_refused(tmp_path: Path, wrong: float) -> None:
    """There is no mouth to draw: a ValueError, and nothing written."""
    points = DRAWN_POINTS.copy()
    points[4, 0] = wrong
    with pytest.raises(ValueError, match="beyond"):
        WarpRenderer().prepare(drawn(), points, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shape", [(1280, 960), (500, 500), (240, 320)])
def test_noise_and_flat_grey_are_drawn_too(tmp_path: Path, shape: tuple[int, int]) -> None:
    """Whatever the pixels are, every frame is made, without a warning, and in limited range."""
    height, width = shape
    points = (DRAWN_POINTS - (640, 450)) * (height / 960) + np.array([width / 2, height / 2])
    for noisy in (True, False):
        rng = np.random.default_rng(2)
        image = (
            rng.integers(0, 256, (height, width, 3), np.uint8) if noisy else np.full((height, width, 3), 90, np.uint8)
        )
        track = WarpRenderer().open(load(tmp_path, image, points.astype(np.float32)), 1)
        picture = Picture(width, height)
        for index in range(60):
            job = track.job(voice(0.04), index, AvatarState.SPEAKING, picture.i420)
            WarpRenderer().render_batch([job])
            luma, *chroma = planes_of(picture.i420)
            assert luma.min() >= 16
            assert luma.max() <= 235
            assert max(plane.max() for plane in chroma) <= 240


def test_a_bank_takes_little_time_and_room(tmp_path: Path) -> None:
    """A bank for 1280x960 costs less than the goal of a second of CPU, by far, and two megabytes."""
    image, points = smiling()
    began = time.process_time()
    WarpRenderer().prepare(image, points, tmp_path)
    assert time.process_time() - began < 0.5
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 2_500_000


def test_banks_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    """A missing one is an OSError; another version's, a damaged and a mixed-up one are a ValueError."""
    renderer = WarpRenderer()
    with pytest.raises(OSError, match=FIT):
        renderer.load(tmp_path)
    renderer.prepare(drawn(), DRAWN_POINTS, tmp_path)
    fit = (tmp_path / FIT).read_bytes()
    for damaged, told in ((fit.replace(b'"version": 1', b'"version": 99'), "version 99"), (fit[:40], "damaged")):
        (tmp_path / FIT).write_bytes(damaged)
        with pytest.raises(ValueError, match=told):
            renderer.load(tmp_path)
    (tmp_path / FIT).write_bytes(fit)
    (tmp_path / LID_FILES[0]).write_bytes((tmp_path / PORTRAIT).read_bytes())
    with pytest.raises(ValueError, match="left-lid"):
        renderer.load(tmp_path)


def test_the_fit_is_what_was_measured(tmp_path: Path) -> None:
    """What is read again equals what was built."""
    assets = load(tmp_path, *smiling())
    assert assets.bank.fit == build_bank(*smiling()).fit
    assert assets.quality == assets.bank.fit.quality > 0.5


def test_assets_are_read_only(tmp_path: Path) -> None:
    """No track can draw into what others share."""
    assets = load(tmp_path, drawn(), DRAWN_POINTS)
    for array in (assets.bank.portrait, *(lids.patches for lids in assets.bank.lids)):
        assert not array.flags.writeable
    before = assets.bank.portrait.copy()
    track = WarpRenderer().open(assets, 1)
    for index in range(100):
        frame(track, voice(0.04), index)
    assert np.array_equal(before, assets.bank.portrait)


def test_the_contracts_portrait_has_a_mouth(portrait_rgb: NDArray[np.uint8]) -> None:
    """The contract's points are its portrait's, so its tests move a mouth and not a cheek."""
    assert build_bank(portrait_rgb, KEYPOINTS).fit.quality > 0.5
