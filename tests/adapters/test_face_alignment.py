"""The face pipeline on real pictures with known verdicts, and what its portraits look like."""

import logging
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from adapters.face_alignment import AlignedPicture, PortraitMaker, align, align_all
from adapters.face_framing import search_cut
from adapters.image_pixels import enlarged_box, map_points, warp
from domain.avatars import IMAGE, PREVIEW, AspectRatio
from domain.face_measures import Keypoints, face_unit, roll_of
from domain.failures import FailureCode, Refused
from domain.portraits import FRAMINGS, IMAGE_WIDTH
from support.pictures import (
    Rgb,
    astronaut,
    blurred,
    cartoon,
    cat,
    conference,
    file_of,
    gauss,
    newton,
    no_face,
    on_canvas,
    pixels,
    resized,
    six_faces,
    small_face,
    turned,
    two_faces,
)

LANDSCAPE = FRAMINGS[AspectRatio.LANDSCAPE]

POINTS: Keypoints = ((220.0, 200.0), (280.0, 200.0), (250.0, 235.0), (225.0, 262.0), (275.0, 262.0))


def verdict(maker: PortraitMaker, rgb: Rgb, source_scale: float = 1.0) -> Refused | None:
    """The refusal of a picture, or None."""
    try:
        maker.make(rgb, source_scale)
    except Refused as refused:
        return refused
    return None


REFUSED = {
    "coffee": (no_face, FailureCode.NO_FACE),
    "cat": (cat, FailureCode.NO_FACE),
    "a strip of 2560 x 10": (lambda: file_of(np.full((10, 2560, 3), 128, np.uint8)), FailureCode.NO_FACE),
    "six people": (six_faces, FailureCode.SEVERAL_FACES),
    "a conference": (conference, FailureCode.SEVERAL_FACES),
    "twins": (two_faces, FailureCode.SEVERAL_FACES),
    "a smaller twin": (lambda: two_faces(0.6), FailureCode.SEVERAL_FACES),
    "the cameraman": (small_face, FailureCode.FACE_TOO_SMALL),
    "few pixels": (lambda: file_of(resized(pixels(astronaut()), 0.9)), FailureCode.FACE_TOO_SMALL),
    "a full body": (
        lambda: file_of(on_canvas(resized(pixels(astronaut()), 2), 1024, 4500)),
        FailureCode.FACE_TOO_SMALL,
    ),
    "half a face": (lambda: file_of(resized(pixels(astronaut()), 2)[:, 420:]), FailureCode.FACE_CUT_OFF),
    "no forehead": (lambda: file_of(resized(pixels(astronaut()), 2)[200:]), FailureCode.FACE_CUT_OFF),
    "lying down": (lambda: file_of(turned(pixels(astronaut()), 45)), FailureCode.EXTREME_POSE),
    "a cartoon": (cartoon, FailureCode.ILLUSTRATION),
    "out of focus": (lambda: file_of(blurred(resized(pixels(astronaut()), 3), 5)), FailureCode.TOO_BLURRY),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_picture_that_is_not_one_usable_face_is_refused(portrait_maker: PortraitMaker, name: str) -> None:
    """Each kind of bad picture is refused with its own code, and the refusal says what was measured."""
    make, code = REFUSED[name]
    refused = verdict(portrait_maker, pixels(make()))
    assert refused is not None
    assert refused.code is code
    assert {"failed", "measured", "limit", "faces"} <= set(refused.details or {})


ACCEPTED = {
    "the astronaut": (astronaut, AspectRatio.SQUARE),
    "newton": (newton, AspectRatio.LANDSCAPE),
    "gauss": (gauss, AspectRatio.PORTRAIT),
    "a much smaller bystander": (lambda: two_faces(0.4), AspectRatio.LANDSCAPE),
    "a face that fills the frame": (
        lambda: file_of(resized(pixels(astronaut())[55:245, 140:300], 4)),
        AspectRatio.PORTRAIT,
    ),
    "a tilted head": (lambda: file_of(turned(pixels(astronaut()), 30)), AspectRatio.SQUARE),
    "a little soft": (lambda: file_of(blurred(resized(pixels(astronaut()), 3), 1.5)), AspectRatio.SQUARE),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_usable_face_becomes_a_portrait_of_every_profile(portrait_maker: PortraitMaker, name: str) -> None:
    """Each portrait has its format's size, level eyes near its eye line, and a face of about its format's size."""
    make, primary = ACCEPTED[name]
    made = portrait_maker.make(pixels(make()), wanted=FRAMINGS)
    assert made.primary is primary
    assert set(made.pictures) - {IMAGE} == {*AspectRatio, PREVIEW}
    for profile in FRAMINGS:
        check_portrait(profile, made.pictures[profile])


@pytest.mark.parametrize(("make", "size"), [(newton, (1200, 900)), (astronaut, (1200, 1200)), (gauss, None)])
def test_clients_get_the_primary_portrait_at_most_1200_pixels_wide(
    portrait_maker: PortraitMaker, make: Callable[[], bytes], size: tuple[int, int] | None
) -> None:
    """A wider one has a smaller copy, keypoints and all; one of 960 pixels needs none."""
    made = portrait_maker.make(pixels(make()))
    image, primary = made.pictures.get(IMAGE), made.pictures[made.primary]
    if size is None:
        assert image is None
        assert primary.width <= IMAGE_WIDTH
        return
    assert image is not None
    small = pixels(image.jpeg)
    assert (image.profile, image.width, image.height, small.shape) == (IMAGE, *size, (*size[::-1], 3))
    assert np.array(image.keypoints) == pytest.approx((np.array(primary.keypoints) + 0.5) * 0.9375 - 0.5)
    again = np.asarray(cv2.resize(pixels(primary.jpeg), size, interpolation=cv2.INTER_AREA), np.float64)
    assert np.abs(small - again).mean() < 3


def check_portrait(profile: str, portrait: AlignedPicture) -> None:
    """Assert what every portrait promises."""
    framing = FRAMINGS[profile]
    assert pixels(portrait.jpeg).shape == (framing.height, framing.width, 3)
    assert (portrait.profile, portrait.width, portrait.height) == (profile, framing.width, framing.height)
    eyes_x, eyes_y = np.mean(portrait.keypoints[:2], axis=0)
    assert abs(eyes_y / framing.height - framing.eye_line) <= 0.121
    assert abs(eyes_x / framing.width - 0.5) <= 0.1
    assert framing.unit * 0.99 <= face_unit(portrait.keypoints) / framing.height <= max(0.19, framing.unit) * 1.01
    assert abs(roll_of(portrait.keypoints)) <= 5.0


@pytest.mark.parametrize("profile", [*AspectRatio, PREVIEW])
def test_keypoints_lie_on_the_face_that_the_portrait_shows(portrait_maker: PortraitMaker, profile: str) -> None:
    """Detecting a portrait again finds the face where its keypoints say, to a tenth of its size."""
    portrait = portrait_maker.make(pixels(astronaut()), wanted=[profile]).pictures[profile]
    again = portrait_maker.observe(pixels(portrait.jpeg)).keypoints
    distances = np.linalg.norm(np.array(again) - np.array(portrait.keypoints), axis=1)
    assert distances.max() < 0.1 * face_unit(portrait.keypoints)


def test_only_what_somebody_waits_for_is_cut_at_once(portrait_maker: PortraitMaker) -> None:
    """The portrait that fits the source and the preview; the rest can be cut later from the keypoints alone."""
    rgb = pixels(astronaut())
    made = portrait_maker.make(rgb)
    assert set(made.pictures) == {made.primary, PREVIEW, IMAGE}
    assert set(made.stage_ms) == {"find", "align"}
    whole = portrait_maker.make(rgb, wanted=FRAMINGS).pictures
    later = align_all(rgb, made.keypoints, set(FRAMINGS) - set(made.pictures))
    assert {**made.pictures, **later} == whole


def test_the_same_picture_makes_the_same_bytes(portrait_maker: PortraitMaker) -> None:
    """A step that runs twice stores the same objects."""
    first, second = (portrait_maker.make(pixels(gauss())).pictures for _ in range(2))
    assert {name: one.jpeg for name, one in first.items()} == {name: one.jpeg for name, one in second.items()}


def test_limits_in_pixels_count_the_original(portrait_maker: PortraitMaker) -> None:
    """A face too small for us is large enough if the original was twice as large, and the other way round."""
    small = resized(pixels(astronaut()), 0.8)
    assert verdict(portrait_maker, small) is not None
    assert verdict(portrait_maker, small, source_scale=0.5) is None
    large = resized(pixels(astronaut()), 2.0)
    enlarged = verdict(portrait_maker, large, source_scale=4.0)
    assert enlarged is not None
    assert enlarged.code is FailureCode.FACE_TOO_SMALL


def test_a_source_that_covers_the_frame_is_cut_without_zoom_or_shift() -> None:
    """Where nothing is missing the face lies as the format says, to half a source pixel."""
    centre = (1280.0, 1280.0)
    points = tuple((x - 250 + centre[0], y - 200 + centre[1]) for x, y in POINTS)
    cut = search_cut(points, LANDSCAPE, 2560, 2560)  # type: ignore[arg-type]
    assert (cut.zoom, cut.uncovered) == (1.0, 0.0)
    eyes = map_points(cut.transform, [centre])[0]
    half_pixel = cut.transform[0, 0] / 2
    assert eyes == pytest.approx([LANDSCAPE.width / 2, LANDSCAPE.eye_line * LANDSCAPE.height], abs=half_pixel)


@pytest.mark.parametrize("shift", [0, -150, 200])
def test_an_upright_frame_shows_what_its_transform_says(shift: int) -> None:
    """Cut along whole pixels, also beyond the edge, it is the same picture as one that is warped freely."""
    noise = np.random.default_rng(3).integers(0, 256, (600, 700, 3), dtype=np.uint8)
    source = np.asarray(cv2.GaussianBlur(noise, (0, 0), 3), np.uint8)
    points = tuple((x + shift, y) for x, y in POINTS)
    cut = search_cut(points, LANDSCAPE, 700, 600)  # type: ignore[arg-type]
    assert cut.box is not None
    size = (LANDSCAPE.width, LANDSCAPE.height)
    fast, free = enlarged_box(source, cut.box, *size), warp(source, cut.transform, *size)
    assert np.abs(fast.astype(int) - free).max() <= 3


def test_the_search_zooms_and_shifts_to_stay_within_the_source() -> None:
    """Where the plain frame would reach beyond the source, the chosen one reaches less far."""
    width, height = 500, 400
    cut = search_cut(POINTS, LANDSCAPE, width, height)
    plain = LANDSCAPE.width / (LANDSCAPE.unit * LANDSCAPE.height / face_unit(POINTS))
    assert plain > width
    assert cut.zoom > 1.0
    assert cut.uncovered < 0.1


def test_a_head_close_to_the_upper_edge_is_moved_up_or_enlarged() -> None:
    """Room above the head that the source does not have is given up, where nothing else is missing."""
    points = tuple((x + 2000, y - 60) for x, y in POINTS)
    cut = search_cut(points, LANDSCAPE, 4500, 3000)  # type: ignore[arg-type]
    eyes = map_points(cut.transform, points[:2])[:, 1].mean() / LANDSCAPE.height
    assert cut.zoom > 1.0 or eyes < LANDSCAPE.eye_line - 0.02
    assert cut.uncovered < 0.08


def test_what_the_source_does_not_show_is_filled_softly_from_its_edge() -> None:
    """The uncovered part takes its colour from the edge, without a seam; the face itself stays as it was."""
    noise = np.random.default_rng(7).integers(60, 196, (320, 320, 3), dtype=np.uint8)
    source = np.asarray(cv2.GaussianBlur(noise, (0, 0), 2), np.uint8)
    points = tuple((x - 90, y - 40) for x, y in POINTS)
    portrait = align(source, points, "4:3", LANDSCAPE)  # type: ignore[arg-type]
    assert 0.2 < portrait.uncovered < 0.6
    picture = pixels(portrait.jpeg).astype(np.float32)
    corner = picture[:, :40]
    assert abs(corner.mean() - source.mean()) < 15
    assert np.abs(np.diff(corner, axis=1)).mean() < 1.5
    middle = picture[400:500, 600:700]
    assert middle.std() > 2 * corner[400:500].std()


def test_mostly_made_up_portraits_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """An operator hears of a portrait of which less than 60 % was seen."""
    points = tuple((x - 190, y - 160) for x, y in POINTS)
    with caplog.at_level(logging.WARNING, "adapters.face_alignment"):
        align(np.full((140, 120, 3), 90, np.uint8), points, "4:3", LANDSCAPE)  # type: ignore[arg-type]
    assert "beyond the source's edge" in caplog.text


def test_shrinking_averages_instead_of_skipping_pixels() -> None:
    """A fine chequerboard becomes grey when it is shrunk, not moire."""
    board = (np.indices((800, 800)).sum(axis=0) % 2 * 255).astype(np.uint8)
    source = np.repeat(board[..., None], 3, axis=2)
    small = warp(source, np.array([[0.1, 0, 0], [0, 0.1, 0]]), 60, 60)
    assert abs(float(small.mean()) - 127.5) < 2
    assert float(small.std()) < 3


def test_shrinking_keeps_everything_in_its_place() -> None:
    """A dot lands where the transform says, to half a pixel, although the source is averaged down first."""
    source = np.zeros((1000, 1000, 3), np.uint8)
    source[580:621, 280:321] = 255
    transform = np.array([[0.13, 0, 7.0], [0, 0.13, -5.0]])
    small = warp(source, transform, 150, 150).astype(np.float64)[..., 0]
    down, across = np.indices(small.shape)
    centre = [(across * small).sum() / small.sum(), (down * small).sum() / small.sum()]
    assert centre == pytest.approx(map_points(transform, [(300, 600)])[0], abs=0.3)
