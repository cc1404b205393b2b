"""From a decoded picture to aligned portraits: detect, judge, cut, encode. Refuses faces that are not usable."""

import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from adapters.face_detection import Detection, FaceDetector, to_keypoints
from adapters.face_framing import Cut, overhang, search_cut
from adapters.face_measuring import measure_crop
from adapters.image_pixels import Rgb, encode_jpeg, enlarged_box, map_points, warp
from adapters.photo_classifier import PhotoClassifier
from domain.avatars import IMAGE, PREVIEW, AspectRatio, orientation_of
from domain.face_measures import FaceMeasures, FaceObservation, Keypoints
from domain.portraits import (
    FRAMINGS,
    IMAGE_WIDTH,
    UNCOVERED_WARNING,
    FaceThresholds,
    Framing,
    faces_that_count,
    judge,
    tell_measures,
)

log = logging.getLogger(__name__)

JPEG_QUALITY = 90

FILL_SHRINK = 8
"""The made-up background is blurred at an eighth of the size: it holds nothing finer, and costs little."""

FILL_BLUR, FEATHER = 0.035, 0.05
"""Standard deviation of the blur and width of the seam, over the portrait's height."""

COVERED = 255

UNSEEN = 0.005
"""Overhang over the portrait's height up to which repeated edge pixels are not seen; a seam would be."""


@dataclass(frozen=True, kw_only=True)
class Cutting:
    """One portrait before it is encoded."""

    profile: str
    rgb: Rgb
    keypoints: Keypoints
    uncovered: float


@dataclass(frozen=True, kw_only=True)
class AlignedPicture:
    """One portrait, encoded."""

    profile: str
    jpeg: bytes
    width: int
    height: int
    keypoints: Keypoints
    """In pixels of this picture."""
    uncovered: float
    """Share of the area that the source did not show and that was made up from its edge."""


@dataclass(frozen=True, kw_only=True)
class MadePortraits:
    """Every portrait of a face, and what was measured of it."""

    pictures: Mapping[str, AlignedPicture]
    """By profile."""
    primary: AspectRatio
    """The profile that fits the source's shape."""
    measures: FaceMeasures
    told: Mapping[str, object]
    """The measures as a refusal would tell them."""
    keypoints: Keypoints
    """In pixels of the decoded picture: from them further portraits can be cut without looking again."""
    stage_ms: Mapping[str, float]
    """Milliseconds of each stage: find, align."""


class PortraitMaker:
    """The face pipeline on decoded pictures. Stateless but for the loaded detector; may be called from many threads."""

    def __init__(
        self,
        detector: FaceDetector,
        thresholds: FaceThresholds | None = None,
        classifier: PhotoClassifier | None = None,
    ) -> None:
        self._detector = detector
        self._classifier = classifier
        self.thresholds = thresholds or FaceThresholds()
        """The limits of the verdict."""

    def make(self, rgb: Rgb, source_scale: float = 1.0, *, wanted: Collection[str] = ()) -> MadePortraits:
        """The primary portrait, the preview and what else is wanted, of the one usable face in a picture.

        Where the primary portrait is wider than clients are shown, `image` is a smaller copy of it. Refused, with the
        measures, where there is no such face. `source_scale` is the picture's size over the original's: limits in
        pixels count the original's.
        """
        began = time.perf_counter()
        seen = self.observe(rgb, source_scale)
        measures = judge(seen, self.thresholds)
        found = time.perf_counter()
        primary = orientation_of(rgb.shape[1], rgb.shape[0])
        pictures = align_with_image(rgb, seen.keypoints, primary, {primary, PREVIEW, *wanted})
        times = {"find": found - began, "align": time.perf_counter() - found}
        return MadePortraits(
            pictures=pictures,
            primary=primary,
            measures=measures,
            told=tell_measures(seen, measures),
            keypoints=seen.keypoints,
            stage_ms={stage: round(seconds * 1000, 1) for stage, seconds in times.items()},
        )

    def observe(self, rgb: Rgb, source_scale: float = 1.0) -> FaceObservation:
        """What is seen of the biggest face; NO_FACE if nothing counts as one."""
        found = self._find(rgb)
        faces = faces_that_count([detection.face for detection in found], self.thresholds)
        first_points = next(detection.keypoints for detection in found if detection.face is faces[0])
        keypoints = self._detector.refine(rgb, first_points)
        return FaceObservation(
            width=rgb.shape[1],
            height=rgb.shape[0],
            scale=source_scale,
            faces=faces,
            keypoints=keypoints,
            crop=measure_crop(rgb, keypoints, self._classifier),
        )

    def _find(self, rgb: Rgb) -> list[Detection]:
        """The faces of a picture; where none counts, those that only a closer and dearer look finds."""
        found = self._detector.detect(rgb)
        if any(detection.face.score >= self.thresholds.score for detection in found):
            return found
        small = self._detector.detect_small(rgb)
        return found + [detection for detection in small if detection.face.score >= self.thresholds.small_score]


def align_with_image(
    rgb: Rgb, keypoints: Keypoints, primary: AspectRatio, profiles: Collection[str]
) -> dict[str, AlignedPicture]:
    """The portraits of some profiles, and besides `image`, the primary one at the width that clients are shown."""
    wanted = framings_of(profiles)
    cuttings = {profile: cut_out(rgb, keypoints, profile, framing) for profile, framing in wanted.items()}
    if wanted[primary].width > IMAGE_WIDTH:
        cuttings[IMAGE] = shrunk(cuttings[primary], IMAGE, IMAGE_WIDTH)
    return {profile: encode(cutting) for profile, cutting in cuttings.items()}


def align_all(rgb: Rgb, keypoints: Keypoints, profiles: Collection[str]) -> dict[str, AlignedPicture]:
    """The portraits of some profiles, in the order of the table."""
    return {profile: align(rgb, keypoints, profile, framing) for profile, framing in framings_of(profiles).items()}


def framings_of(profiles: Collection[str]) -> dict[str, Framing]:
    """The wanted part of the table."""
    return {profile: framing for profile, framing in FRAMINGS.items() if profile in profiles}


def align(rgb: Rgb, keypoints: Keypoints, profile: str, framing: Framing) -> AlignedPicture:
    """One portrait of the face, encoded."""
    return encode(cut_out(rgb, keypoints, profile, framing))


def cut_out(rgb: Rgb, keypoints: Keypoints, profile: str, framing: Framing) -> Cutting:
    """The pixels of one portrait, the uncovered part of its frame filled with a blur of the source's edge."""
    height, width = rgb.shape[:2]
    cut = search_cut(keypoints, framing, width, height)
    picture = seen_through(rgb, cut, framing)
    uncovered = 0.0
    if overhang(cut.transform, framing, width, height) > UNSEEN * framing.height:
        # 255 where the source covers the frame, less at and beyond its edge.
        cover = seen_through(np.full(rgb.shape[:2], COVERED, np.uint8), cut, framing, border=cv2.BORDER_CONSTANT)
        uncovered = float((cover < COVERED).mean())
        picture = fill(picture, cover)
    if uncovered > UNCOVERED_WARNING:
        log.warning("portrait %s: %.0f %% of it lies beyond the source's edge", profile, 100 * uncovered)
    return Cutting(
        profile=profile,
        rgb=picture,
        keypoints=to_keypoints(map_points(cut.transform, np.asarray(keypoints))),
        uncovered=uncovered,
    )


def shrunk(cutting: Cutting, profile: str, width: int) -> Cutting:
    """A smaller copy of a portrait under another name."""
    scale = width / cutting.rgb.shape[1]
    size = width, round(cutting.rgb.shape[0] * scale)
    # A pixel's centre at x lies at scale * (x + 1/2) - 1/2 of the copy.
    points = scale * (np.asarray(cutting.keypoints) + 0.5) - 0.5
    # So little shrinking skips no pixels; averaging would take 8 ms where this takes 1.5.
    rgb = np.asarray(cv2.resize(cutting.rgb, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    return Cutting(profile=profile, rgb=rgb, keypoints=to_keypoints(points), uncovered=cutting.uncovered)


def encode(cutting: Cutting) -> AlignedPicture:
    """A portrait as JPEG."""
    height, width = cutting.rgb.shape[:2]
    return AlignedPicture(
        profile=cutting.profile,
        jpeg=encode_jpeg(cutting.rgb, JPEG_QUALITY),
        width=width,
        height=height,
        keypoints=cutting.keypoints,
        uncovered=cutting.uncovered,
    )


def seen_through(rgb: Rgb, cut: Cut, framing: Framing, *, border: int = cv2.BORDER_REPLICATE) -> Rgb:
    """The source through a frame, height x width; beyond its edge as `border` (OpenCV's) says."""
    if cut.box is not None:
        return enlarged_box(rgb, cut.box, framing.width, framing.height, border=border)
    return warp(rgb, cut.transform, framing.width, framing.height, border=border)


def fill(picture: Rgb, cover: Rgb) -> Rgb:
    """The picture with its uncovered part blurred: its replicated edges would streak, a mirror would show a twin."""
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (width // FILL_SHRINK, height // FILL_SHRINK), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), FILL_BLUR * height / FILL_SHRINK)
    ground = cv2.resize(blurred, (width, height), interpolation=cv2.INTER_CUBIC)
    share = seen_share(cover)
    return np.asarray(cv2.blendLinear(picture, ground, share, 1 - share), np.uint8)


def seen_share(cover: Rgb) -> npt.NDArray[np.float32]:
    """How much of each pixel is the source's: 0 beyond its edge, softly 1 from FEATHER inside; height x width."""
    height, width = cover.shape
    # Half the size is fine enough for a seam this wide, and takes a quarter of the time.
    half = cv2.resize(cover, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    # The frame's own border is no edge of the source: beyond it the source goes on.
    wider = cv2.copyMakeBorder((half == COVERED).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    inward = cv2.distanceTransform(wider, cv2.DIST_L2, 3)[1:-1, 1:-1]
    share = np.clip(inward * np.float32(2 / (FEATHER * height)), 0, 1)
    return np.asarray(cv2.resize(share * share * (3 - 2 * share), (width, height)), np.float32)
