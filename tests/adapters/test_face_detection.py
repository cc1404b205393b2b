"""The detector: what it finds, what it refuses to start with, and that threads may share it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from adapters.face_detection import CPU, Detection, DetectorUnavailable, FaceDetector
from domain.face_measures import roll_of
from support.pictures import astronaut, conference, on_canvas, pixels, resized, turned


def best(found: list[Detection]) -> Detection:
    """The one with the best score."""
    return max(found, key=lambda detection: detection.face.score)


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_boxes_and_points_are_in_pixels_of_the_picture(face_detector: FaceDetector, factor: float) -> None:
    """The astronaut's face is found at the same place whatever the picture's size."""
    found = best(face_detector.detect(resized(pixels(astronaut()), factor)))
    box = np.array([found.face.left, found.face.top, found.face.right, found.face.bottom]) / factor
    assert box == pytest.approx([180, 64, 271, 179], abs=8)
    nose = np.array(found.keypoints[2]) / factor
    assert nose == pytest.approx([221, 123], abs=6)


def test_a_face_that_fills_the_frame_is_found(face_detector: FaceDetector) -> None:
    """The narrow pass sees what is too large for the wide one."""
    assert best(face_detector.detect(resized(pixels(astronaut())[95:170, 190:260], 5))).face.score > 0.5


def test_each_face_is_found_once(face_detector: FaceDetector) -> None:
    """The two passes are merged: the 29 people of the conference are not counted twice."""
    found = [detection for detection in face_detector.detect(pixels(conference())) if detection.face.score >= 0.5]
    assert 22 <= len(found) <= 29


def test_a_crowd_far_away_is_found_on_a_closer_look(face_detector: FaceDetector) -> None:
    """Faces of a hundredth of the picture's side; the usual passes see none of them."""
    crowd = on_canvas(resized(pixels(conference()), 0.2), 1200, 1200)
    assert not [detection for detection in face_detector.detect(crowd) if detection.face.score >= 0.5]
    found = [detection.face for detection in face_detector.detect_small(crowd) if detection.face.score >= 0.5]
    assert len(found) > 10
    assert all(300 < face.left < face.right < 900 for face in found)


@pytest.mark.parametrize("degrees", [-25, 0, 15])
def test_refined_points_tell_the_roll(face_detector: FaceDetector, degrees: float) -> None:
    """The refined roll follows the head's own 3 degrees plus the turn, to 2 degrees."""
    rgb = turned(resized(pixels(astronaut()), 2), degrees)
    refined = face_detector.refine(rgb, best(face_detector.detect(rgb)).keypoints)
    assert roll_of(refined) == pytest.approx(degrees + 3.2, abs=2.0)


def test_refining_where_no_face_is_keeps_the_points(face_detector: FaceDetector) -> None:
    """Points that the second look does not confirm stay as they were."""
    points = ((40.0, 40.0), (60.0, 40.0), (50.0, 50.0), (42.0, 60.0), (58.0, 60.0))
    assert face_detector.refine(np.full((100, 100, 3), 128, np.uint8), points) == points


def test_threads_may_share_a_detector(face_detector: FaceDetector) -> None:
    """Detections at the same time answer what they answer alone."""
    sizes = [0.5, 0.75, 1.0, 1.5, 2.0, 0.6]
    rgbs = [resized(pixels(astronaut()), size) for size in sizes]
    alone = [face_detector.detect(rgb) for rgb in rgbs]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(face_detector.detect, rgbs)) == alone


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A path that does not exist is refused: insightface would go and download something."""
    with pytest.raises(DetectorUnavailable, match=r"absent\.onnx is not a file"):
        FaceDetector(tmp_path / "absent.onnx")


def test_cuda_is_not_replaced_silently(detector_path: Path) -> None:
    """Told to run on CUDA where there is none, the detector does not start; left to choose, it runs on the CPU."""
    import onnxruntime  # noqa: PLC0415 - importing it costs every run that skips this module

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this machine's onnxruntime has CUDA")
    with pytest.raises(DetectorUnavailable, match="CUDA"):
        FaceDetector(detector_path, device="cuda")
    assert FaceDetector(detector_path, device="auto").provider == CPU
