"""Where are the faces? SCRFD, loaded by insightface from one checked file. Judges nothing and downloads nothing."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import cv2
import numpy as np
import numpy.typing as npt

from adapters.image_pixels import Rgb, invert, map_points, similarity, warp
from domain.face_measures import FoundFace, Keypoints, face_unit, roll_of

Device = Literal["auto", "cpu", "cuda"]

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"

WIDE, NARROW, REFINING = 320, 160, 256
"""Input sizes: 640 finds nothing more in portraits, and only 160 finds a face that fills the frame."""

CLOSE = 640
"""Input size for the small faces of crowds and landscapes. It costs four times the others, so it is asked last."""

CANDIDATE_SCORE = 0.4
"""Least score that is reported: below the verdict's own limit, so that a refusal can say how close it was."""

REFINED_SHARE = 0.5 / 2.4
"""Face unit over the refining crop's side: a head is about 2.4 units high and takes half of it."""


class DetectorUnavailable(Exception):
    """The detector's file is missing or wrong, or does not run where it was told to."""


@dataclass(frozen=True, kw_only=True)
class Detection:
    """A face's box and its five points, in pixels of the picture."""

    face: FoundFace
    keypoints: Keypoints


class FaceDetector:
    """One loaded detector. It may be called from several threads at once."""

    def __init__(self, model: Path, *, device: Device = "auto", threads: int = 1) -> None:
        """Load the file and run each input size once: the first run of a shape is slow.

        `threads` is the number of cores that one detection may use. Raises DetectorUnavailable.
        """
        if not model.is_file():
            raise DetectorUnavailable(f"the face detector is missing: {model} is not a file")
        self._model = load_scrfd(model, device, threads)
        self.provider = str(self._model.session.get_providers()[0])
        """onnxruntime's name of what the detector runs on."""
        if device == "cuda" and self.provider != CUDA:
            raise DetectorUnavailable(f"the face detector was told to run on CUDA, but runs on {self.provider}")
        for size in (WIDE, NARROW, REFINING, CLOSE):
            self._run(np.zeros((size, size, 3), np.uint8), [size])

    def detect(self, rgb: Rgb) -> list[Detection]:
        """Every face with a score of at least CANDIDATE_SCORE, best first; boxes may reach beyond the border."""
        return self._look(rgb, WIDE, [WIDE, NARROW])

    def detect_small(self, rgb: Rgb) -> list[Detection]:
        """As `detect`, for faces that are too small for it: down to a hundredth of the picture's longer side."""
        return self._look(rgb, CLOSE, [CLOSE])

    def _look(self, rgb: Rgb, side: int, sizes: list[int]) -> list[Detection]:
        """The faces in a picture that is fitted into a square canvas."""
        height, width = rgb.shape[:2]
        scale = side / max(height, width)
        small_width, small_height = max(round(width * scale), 1), max(round(height * scale), 1)
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        canvas = np.zeros((side, side, 3), np.uint8)
        canvas[:small_height, :small_width] = cv2.resize(rgb, (small_width, small_height), interpolation=interpolation)
        boxes, points = self._run(canvas, sizes)
        across, down = width / small_width, height / small_height
        boxes[:, [0, 2]] *= across
        boxes[:, [1, 3]] *= down
        points *= (across, down)
        return [to_detection(box, five) for box, five in zip(boxes, points, strict=True)]

    def refine(self, rgb: Rgb, keypoints: Keypoints) -> Keypoints:
        """The face's points, found again on a levelled crop at a steady size; the given ones if it is not found there.

        Without this the roll is off by up to 6 degrees.
        """
        transform = similarity(
            scale=REFINED_SHARE * REFINING / max(face_unit(keypoints), 1.0),
            degrees=roll_of(keypoints),
            source=np.mean(keypoints, axis=0),
            target=(REFINING / 2, REFINING / 2),
        )
        crop = warp(rgb, transform, REFINING, REFINING, border=cv2.BORDER_CONSTANT)
        _, points = self._run(crop, [REFINING])
        if not len(points):
            return keypoints
        distances = np.linalg.norm(points.mean(axis=1) - REFINING / 2, axis=1)
        nearest = int(np.argmin(distances))
        # Another face's points would be worse than the first pass's own.
        if distances[nearest] > REFINED_SHARE * REFINING:
            return keypoints
        return to_keypoints(map_points(invert(transform), points[nearest]))

    def _run(self, canvas: Rgb, sizes: list[int]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Boxes with scores (n x 5) and points (n x 5 x 2) of a square canvas; sizes merged by insightface's NMS."""
        boxes, points = self._model.detect(
            # insightface takes OpenCV's order of colours.
            np.ascontiguousarray(canvas[:, :, ::-1]),
            input_size=[(size, size) for size in sizes],
            det_thresh=CANDIDATE_SCORE,
        )
        return np.asarray(boxes, np.float64), np.asarray(points, np.float64)


def load_scrfd(model: Path, device: Device, threads: int) -> Any:
    """The detector as insightface loads it, on a session with our options."""
    # insightface takes 2 s and 120 MB to import: only the process that detects pays for it.
    import onnxruntime  # noqa: PLC0415
    from insightface.model_zoo import get_model  # noqa: PLC0415

    # Some builds report to their maker: nothing leaves this machine that its operator did not ask for.
    onnxruntime.disable_telemetry_events()
    available = onnxruntime.get_available_providers()
    if device == "cuda" and CUDA not in available:
        raise DetectorUnavailable(f"the face detector was told to run on CUDA, but onnxruntime has only {available}")
    providers = [CPU] if device == "cpu" or CUDA not in available else [CUDA, CPU]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    # Threads that wait by spinning cost up to 60 % more CPU time.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    with warnings.catch_warnings():
        # A CUDA provider that cannot start only warns; the caller compares what it got.
        warnings.simplefilter("ignore")
        # get_model preloads CUDA's libraries where CUDA is asked for.
        loaded = get_model(
            str(model), providers=providers, sess_options=options, static_shape_sessions=False, download=False
        )
    if loaded is None or getattr(loaded, "taskname", "") != "detection" or not loaded.use_kps:
        raise DetectorUnavailable(f"{model.name} is not a face detector with keypoints")
    if loaded.static_input_size is not None:
        raise DetectorUnavailable(f"{model.name} takes only pictures of {loaded.static_input_size}; make it dynamic")
    return loaded


def to_detection(box: npt.NDArray[np.float64], points: npt.NDArray[np.float64]) -> Detection:
    """A row of the detector's answer as domain values."""
    left, top, right, bottom, score = (float(value) for value in box)
    face = FoundFace(left=left, top=top, right=right, bottom=bottom, score=score)
    return Detection(face=face, keypoints=to_keypoints(points))


def to_keypoints(points: Iterable[Iterable[float]]) -> Keypoints:
    """Five rows as five points."""
    return cast("Keypoints", tuple((float(x), float(y)) for x, y in points))
