"""The face pipeline as the settings say: wrong ones do not start, and the sentence names the variable."""

from pathlib import Path

import pytest

from domain.portraits import FaceThresholds
from runtime.settings import Settings, SettingsError
from support.onnx_models import save_classifier
from worker.face_detector import open_classifier, open_portrait_maker, read_thresholds


def test_limits_come_from_the_setting(detector_path: Path) -> None:
    """The maker judges by them, with the named detector."""
    settings = Settings(face_thresholds="unit=32", face_model=str(detector_path), face_device="cpu")
    assert open_portrait_maker(settings, {}).thresholds == FaceThresholds(unit=32.0)


@pytest.mark.parametrize("text", ["units=3", "unit=much"])
def test_wrong_limits_do_not_start(text: str) -> None:
    """The variable is named, what it holds is not."""
    with pytest.raises(SettingsError, match="GREENROOM_FACE_THRESHOLDS") as caught:
        open_portrait_maker(Settings(face_thresholds=text), {})
    assert text.partition("=")[2] not in str(caught.value).split()


def test_a_classifier_is_opened_if_there_is_one(tmp_path: Path) -> None:
    """None is asked for by default; a file that is missing does not start."""
    assert open_classifier(Settings()) is None
    assert open_classifier(Settings(photo_classifier=str(save_classifier(tmp_path / "own.onnx")))) is not None
    with pytest.raises(SettingsError, match=r"GREENROOM_PHOTO_CLASSIFIER: .*absent\.onnx is not a file"):
        open_classifier(Settings(photo_classifier=str(tmp_path / "absent.onnx")))


def test_a_pack_without_a_detector_does_not_start(tmp_path: Path) -> None:
    """An empty folder is a sentence that names FACE_MODEL."""
    with pytest.raises(SettingsError, match=r"holds no face detector.*FACE_MODEL"):
        open_portrait_maker(Settings(face_model=str(tmp_path)), {})
    assert read_thresholds(Settings()) == FaceThresholds()
