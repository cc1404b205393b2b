"""Opens the face pipeline as the settings say, for the faces role and for an operator's checks; it looks at nothing."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from adapters.detector_file import detector_path
from adapters.detector_packs import find_detector
from adapters.face_alignment import PortraitMaker
from adapters.face_detection import DetectorUnavailable, FaceDetector
from adapters.photo_classifier import ClassifierUnavailable, PhotoClassifier
from domain.portraits import FaceThresholds, thresholds_from
from runtime.cache import cache_folder
from runtime.settings import Settings, SettingsError

log = logging.getLogger(__name__)


def open_portrait_maker(settings: Settings, environ: Mapping[str, str]) -> PortraitMaker:
    """The whole pipeline: the limits first, since they are read in no time, then classifier and detector.

    SettingsError where any of them is not as its setting says.
    """
    thresholds, classifier = read_thresholds(settings), open_classifier(settings)
    return PortraitMaker(open_detector(settings, environ), thresholds, classifier)


def read_thresholds(settings: Settings) -> FaceThresholds:
    """The limits of the verdict; SettingsError where they cannot be read."""
    try:
        return thresholds_from(settings.face_thresholds)
    except ValueError as error:
        raise SettingsError(f"GREENROOM_FACE_THRESHOLDS: {error}") from None


def open_classifier(settings: Settings) -> PhotoClassifier | None:
    """The operator's own classifier, if there is one; SettingsError where it is missing or unfit."""
    if not settings.photo_classifier:
        return None
    try:
        classifier = PhotoClassifier(Path(settings.photo_classifier), threads=cores())
    except ClassifierUnavailable as error:
        raise SettingsError(f"GREENROOM_PHOTO_CLASSIFIER: {error}") from None
    log.info("drawings are told by %s besides", Path(settings.photo_classifier).name)
    return classifier


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def open_detector(settings: Settings, environ: Mapping[str, str]) -> FaceDetector:
    """Load the detector on all cores, which takes a second or two.

    SettingsError where its file is missing or it does not run where it was told to.
    """
    named = Path(settings.face_model) if settings.face_model else detector_path(cache_folder(environ))
    try:
        model = find_detector(named)
        detector = FaceDetector(model, device=settings.face_device, threads=cores())
    except DetectorUnavailable as error:
        raise SettingsError(f"{error}; run `greenroom setup`, or check FACE_MODEL and FACE_DEVICE") from None
    log.info("faces are detected by %s on %s", model.name, detector.provider)
    return detector
