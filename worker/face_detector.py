"""Opens the face detector as the settings say, for the faces role and for an operator's checks; it looks at nothing."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from adapters.detector_file import detector_path
from adapters.face_detection import DetectorUnavailable, FaceDetector
from runtime.cache import cache_folder
from runtime.settings import Settings, SettingsError

log = logging.getLogger(__name__)


def open_detector(settings: Settings, environ: Mapping[str, str]) -> FaceDetector:
    """Load the detector on all cores, which takes a second or two.

    SettingsError where its file is missing or it does not run where it was told to.
    """
    model = Path(settings.face_model) if settings.face_model else detector_path(cache_folder(environ))
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        detector = FaceDetector(model, device=settings.face_device, threads=threads)
    except DetectorUnavailable as error:
        raise SettingsError(f"{error}; run `greenroom setup`, or check FACE_MODEL and FACE_DEVICE") from None
    log.info("faces are detected by %s on %s", model.name, detector.provider)
    return detector
