"""An operator's own classifier: how it is asked, what its answer means, and which files are refused."""

from pathlib import Path

import numpy as np
import pytest

from adapters.face_alignment import PortraitMaker
from adapters.face_detection import FaceDetector
from adapters.photo_classifier import ClassifierUnavailable, PhotoClassifier, probability
from domain.failures import FailureCode, Refused
from domain.portraits import FaceThresholds
from support.onnx_models import save_classifier
from support.pictures import astronaut, pixels

GREY = np.full((256, 256, 3), 128, np.uint8)
RED = np.zeros((256, 256, 3), np.uint8)
RED[..., 0] = 255


@pytest.mark.parametrize("sides", [("height", "width"), (64, 64), (256, 256)])
def test_the_crop_is_sent_in_the_size_that_the_model_takes(tmp_path: Path, sides: tuple[object, object]) -> None:
    """Any size or a fixed one, in RGB from 0 to 1: the answer is the same."""
    classifier = PhotoClassifier(save_classifier(tmp_path / "own.onnx", sides))
    assert classifier.drawing(GREY) == 0.0
    assert classifier.drawing(RED) == pytest.approx(1.0)


def test_two_answers_are_photograph_and_drawing(tmp_path: Path) -> None:
    """As logits by softmax; as probabilities as they are."""
    classifier = PhotoClassifier(save_classifier(tmp_path / "own.onnx", answers=2, factor=3.0))
    assert classifier.drawing(GREY) == pytest.approx(0.5)
    assert classifier.drawing(RED) == pytest.approx(1 / (1 + np.exp(-3)))
    assert probability(np.array([[0.2, 0.8]])) == pytest.approx(0.8)


def test_what_the_classifier_calls_a_drawing_is_refused(face_detector: FaceDetector, tmp_path: Path) -> None:
    """The same photograph passes without it, is refused with it, and passes where the operator allows more."""
    classifier = PhotoClassifier(save_classifier(tmp_path / "own.onnx", (128, 128), answers=2, factor=4.0))
    rgb = pixels(astronaut())
    assert PortraitMaker(face_detector).make(rgb).measures.drawing == 0.0
    with pytest.raises(Refused) as caught:
        PortraitMaker(face_detector, classifier=classifier).make(rgb)
    details = caught.value.details or {}
    assert (caught.value.code, details["failed"], details["limit"]) == (FailureCode.ILLUSTRATION, "drawing", 0.5)
    assert 0.5 < float(str(details["measured"])) < 1
    PortraitMaker(face_detector, FaceThresholds(drawing=0.99), classifier).make(rgb)


def test_a_file_that_is_no_classifier_is_refused(tmp_path: Path, detector_path: Path) -> None:
    """Missing, damaged, of other inputs, of three answers, or answering beyond 0 to 1: each has its sentence."""
    with pytest.raises(ClassifierUnavailable, match="is not a file"):
        PhotoClassifier(tmp_path / "absent.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(ClassifierUnavailable, match="cannot be read as ONNX"):
        PhotoClassifier(tmp_path / "broken.onnx")
    with pytest.raises(ClassifierUnavailable, match="one float32 input"):
        PhotoClassifier(detector_path)
    with pytest.raises(ClassifierUnavailable, match="one float32 input"):
        PhotoClassifier(save_classifier(tmp_path / "oblong.onnx", (64, 128)))
    with pytest.raises(ClassifierUnavailable, match="answers 3 numbers"):
        PhotoClassifier(save_classifier(tmp_path / "three.onnx", answers=3))
    with pytest.raises(ClassifierUnavailable, match="beyond 0 to 1"):
        PhotoClassifier(save_classifier(tmp_path / "large.onnx", factor=9.0)).drawing(RED)
