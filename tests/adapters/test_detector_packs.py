"""Which file of a user's face pack is the detector: by name, by shape, or a sentence why none."""

import shutil
from pathlib import Path

import pytest

from adapters.detector_packs import find_detector
from adapters.face_detection import DetectorUnavailable, FaceDetector
from support.onnx_models import save_classifier
from support.pictures import astronaut, pixels


def pack(folder: Path, detector: Path, *names: str) -> Path:
    """A folder with the detector under these names, and a model that is none."""
    folder.mkdir(parents=True)
    for name in names:
        shutil.copy(detector, folder / name)
    save_classifier(folder / "genderage.onnx")
    return folder


@pytest.mark.parametrize("name", ["det_10g.onnx", "scrfd_10g_bnkps.onnx", "faces.onnx"])
def test_the_only_detector_of_a_pack_is_taken(tmp_path: Path, detector_path: Path, name: str) -> None:
    """By its name, or by its outputs where names do not tell; and it finds faces."""
    found = find_detector(pack(tmp_path / "buffalo_l", detector_path, name))
    assert found.name == name
    if name == "det_10g.onnx":
        assert len(FaceDetector(found, device="cpu").detect(pixels(astronaut()))) == 1


def test_an_archive_unpacked_into_a_folder_of_its_own_name_is_found(tmp_path: Path, detector_path: Path) -> None:
    """antelopev2.zip holds a folder antelopev2."""
    inner = pack(tmp_path / "antelopev2" / "antelopev2", detector_path, "scrfd_10g_bnkps.onnx")
    assert find_detector(tmp_path / "antelopev2") == inner / "scrfd_10g_bnkps.onnx"


def test_a_file_is_taken_as_it_is(detector_path: Path) -> None:
    """Whatever it is called."""
    assert find_detector(detector_path) == detector_path


def test_two_detectors_are_not_chosen_between(tmp_path: Path, detector_path: Path) -> None:
    """The sentence names both."""
    folder = pack(tmp_path / "both", detector_path, "det_500m.onnx", "det_10g.onnx")
    with pytest.raises(DetectorUnavailable, match=r"det_10g\.onnx, det_500m\.onnx"):
        find_detector(folder)


def test_no_detector_is_said(tmp_path: Path, detector_path: Path) -> None:
    """A pack without one, damaged files, and a path that is nothing at all: nothing is fetched in their place."""
    folder = pack(tmp_path / "other", detector_path)
    (folder / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(DetectorUnavailable, match="holds no face detector"):
        find_detector(folder)
    with pytest.raises(DetectorUnavailable, match="not a file and not a folder"):
        find_detector(tmp_path / "buffalo_l")
